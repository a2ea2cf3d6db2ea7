/* Everything but the register tile of the matrix product. NEON: 4 lanes. The code is written once
 * over lanes; this file gives it a width. */
#include "kernel/arm/neon_lanes.h"

#include "kernel/arm/arm.h"
#include "kernel/lanes/lanes_dots.inc"
#include "kernel/lanes/lanes_elementwise.inc"
#include "kernel/lanes/lanes_gemv.inc"
#include "kernel/lanes/lanes_minhash.inc"
#include "kernel/lanes/lanes_panels.inc"
#include "kernel/lanes/lanes_planes.inc"
#include "kernel/lanes/lanes_rows.inc"
#include "kernel/lanes/lanes_unary.inc"

void ml_neon_vector(struct ml_kernels *out)
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
