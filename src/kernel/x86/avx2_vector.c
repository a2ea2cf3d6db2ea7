/* Everything but the register tile of the matrix product. AVX2 with FMA and F16C: 8 lanes. The code
 * is written once over lanes; this file gives it a width. */
#include "kernel/x86/avx2_lanes.h"

#include "kernel/lanes/lanes_dots.inc"
#include "kernel/lanes/lanes_elementwise.inc"
#include "kernel/lanes/lanes_gemv.inc"
#include "kernel/lanes/lanes_minhash.inc"
#include "kernel/lanes/lanes_panels.inc"
#include "kernel/lanes/lanes_planes.inc"
#include "kernel/lanes/lanes_rows.inc"
#include "kernel/lanes/lanes_unary.inc"
#include "kernel/x86/x86.h"

void ml_avx2_vector(struct ml_kernels *out)
{
    lanes_unary(out);
    lanes_elementwise(out);
    lanes_rows(out);
    lanes_planes(out);
    out->gemv = gemv;
    out->minhash = minhash;
    out->i8_dots = i8_dots;
    out->mix = mix;
    out->panels = panels;
}
