#include "kernel/table.h"

#if defined(ML_X86)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/x86/x86.h"
#endif

#if defined(ML_ARM)
#include <sys/auxv.h>

#include "kernel/arm/arm.h"
#endif

#include "kernel/ref/ref.h"

static const char *const isa_names[ML_ISA_COUNT] = {"ref",         "avx2", "avx512", "avx512-vnni",
                                                    "avx512-bf16", "amx",  "neon",   "neon-bf16"};

const char *ml_isa_name(enum ml_isa isa)
{
    return (unsigned)isa < ML_ISA_COUNT ? isa_names[isa] : "?";
}

#if defined(ML_X86)

/* Clang 14 has no __builtin_cpu_supports("f16c"). */
static bool have_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}

/* Tiles are 8 KB of state that Linux gives to a process that asks for them (arch_prctl(2):
 * ARCH_REQ_XCOMP_PERM of XTILEDATA). CPUID leaf 7: EDX bit 22 is AMX-BF16, bit 24 AMX-TILE. */
static bool have_amx(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 22 & 1) && (d >> 24 & 1) &&
           syscall(SYS_arch_prctl, 0x1023, 18) == 0;
}

/* __builtin_cpu_supports asks the operating system too (XGETBV), not only the processor. */
enum ml_isa ml_isa_detect(void)
{
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !have_f16c())
        return ML_ISA_REF;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq"))
        return ML_ISA_AVX2;
    if (!__builtin_cpu_supports("avx512vnni"))
        return ML_ISA_AVX512;
    if (!__builtin_cpu_supports("avx512bf16"))
        return ML_ISA_AVX512_VNNI;
    return have_amx() ? ML_ISA_AMX : ML_ISA_AVX512_BF16;
}

bool ml_isa_built(enum ml_isa isa)
{
    return isa <= ML_ISA_AMX;
}

#elif defined(ML_ARM)

#define HAVE_BF16 (1UL << 14) /* of AT_HWCAP2: HWCAP2_BF16 */

/* NEON is part of the architecture. */
enum ml_isa ml_isa_detect(void)
{
    return getauxval(AT_HWCAP2) & HAVE_BF16 ? ML_ISA_NEON_BF16 : ML_ISA_NEON;
}

bool ml_isa_built(enum ml_isa isa)
{
    return isa == ML_ISA_REF || isa == ML_ISA_NEON || isa == ML_ISA_NEON_BF16;
}

#else

enum ml_isa ml_isa_detect(void)
{
    return ML_ISA_REF;
}

bool ml_isa_built(enum ml_isa isa)
{
    return isa == ML_ISA_REF;
}

#endif

void ml_kernels_init(struct ml_kernels *out, enum ml_isa limit)
{
    enum ml_isa best = ml_isa_detect();
    if (best > limit)
        best = ml_isa_built(limit) ? limit : ML_ISA_REF;
    ml_ref_unary(out);
    ml_ref_elementwise(out);
    ml_ref_rows(out);
    ml_ref_convert(out);
    ml_ref_gemm(out);
    ml_ref_gemm_i8(out);
    ml_ref_winograd(out);
#if defined(ML_X86)
    if (best >= ML_ISA_AVX2) {
        ml_avx2_vector(out);
        ml_avx2_gemm(out);
        ml_avx2_gemm_i8(out);
    }
    if (best >= ML_ISA_AVX512) {
        ml_avx512_vector(out);
        ml_avx512_gemm(out);
    }
    if (best >= ML_ISA_AVX512_VNNI)
        ml_avx512_vnni(out);
    if (best >= ML_ISA_AVX512_BF16)
        ml_avx512_bf16(out);
    if (best >= ML_ISA_AMX)
        ml_amx_bf16(out);
#endif
#if defined(ML_ARM)
    if (best >= ML_ISA_NEON) {
        ml_neon_vector(out);
        ml_neon_gemm(out);
    }
    if (best >= ML_ISA_NEON_BF16)
        ml_neon_bf16(out);
#endif
    out->isa = best;
    out->name = ml_isa_name(best);
}

bool ml_kernels_have_bf16(const struct ml_kernels *k)
{
    if (k->isa == ML_ISA_AMX || k->isa == ML_ISA_NEON_BF16)
        return true;
    /* VDPBF16PS has half the rate of f32 on Intel's processors, which have AMX instead. */
    return k->isa == ML_ISA_AVX512_BF16 && ml_isa_detect() == ML_ISA_AVX512_BF16;
}
