/* kernels/check_act.c - activations over the whole range of floats, and plain
 * vector arithmetic. */
#include "check.h"
#include <float.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

double act_exact(double x, enum act act)
{
    switch (act) {
    case ACT_NONE:
        return x;
    case ACT_GELU:
        return x < -40 ? 0 : 0.5 * x * erfc(-x * 0.70710678118654752440);
    case ACT_GELU_TANH:
        return x < -40 ? 0
                       : x / (1 + exp(-2 * 0.79788456080286535588 * x *
                                      (1 + 0.044715 * x * x)));
    case ACT_RELU:
        return x < 0 ? 0 : x;
    case ACT_SILU:
        return x < -750 ? 0 : x / (1 + exp(-x));
    case ACT_TANH:
        return tanh(x);
    case ACT_SIGMOID:
        return 1 / (1 + exp(-x));
    }
    return NAN;
}

/* As kernels.h states them. */
double act_bound(double x, enum act act)
{
    switch (act) {
    case ACT_NONE:
    case ACT_RELU:
        return 0;
    case ACT_GELU:
        return 1e-7 + UNIT * fabs(act_exact(x, act));
    case ACT_GELU_TANH:
        return 3e-7 + UNIT * fabs(act_exact(x, act));
    case ACT_SILU:
        return 5 * UNIT * fabs(act_exact(x, act)) + FLT_MIN * (1 + fabs(x));
    case ACT_TANH:
    case ACT_SIGMOID:
        return 5 * UNIT * fabs(act_exact(x, act)) + FLT_MIN;
    }
    return 0;
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void check_range(enum act act, uint32_t step)
{
    enum { RUN = 1021 };
    struct mat x = mat_new(1, RUN, RUN);
    float in[RUN];
    uint64_t bits = check_rand() % step;
    double worst = 0;
    while (bits <= UINT32_MAX) {
        for (size_t i = 0; i < RUN; i++, bits += step)
            in[i] = float_of((uint32_t)bits);
        memcpy(x.p, in, sizeof in);
        check_new.act_f32(x.p, RUN, act);
        for (size_t i = 0; i < RUN; i++) {
            if (in[i] == -INFINITY && act != ACT_TANH && act != ACT_SIGMOID)
                continue; /* 0 times infinity: not defined */
            double exact = act_exact(in[i], act), bound = act_bound(in[i], act);
            check_close(x.p[i], exact, bound, "act %d of %.9g", (int)act,
                        (double)in[i]);
            if (bound > 0 && isfinite(exact))
                worst = fmax(worst, fabs(x.p[i] - exact) / bound);
        }
    }
    printf("    act %d: at most %.2f of its bound\n", (int)act, worst);
    mat_intact(&x, "x");
    mat_free_all();
}

/* A value does not depend on where it stands; what is behind stays. */
static void check_lengths(enum act act)
{
    for (size_t n = 0; n <= 70; n++) {
        struct mat x = mat_random(1, n ? n : 1, n ? n : 1),
                   all = mat_new(1, 1, 1);
        float in[70];
        memcpy(in, x.p, n * sizeof(float));
        check_new.act_f32(x.p, n, act);
        for (size_t i = 0; i < n; i++) {
            all.p[0] = in[i];
            check_new.act_f32(all.p, 1, act);
            if (memcmp(all.p, x.p + i, sizeof(float)) != 0)
                check_fail("act %d of %g depends on its place %zu of %zu",
                           (int)act, (double)in[i], i, n);
        }
        mat_intact(&x, "x");
        mat_free_all();
    }
}

/* One rounding each: what the same operation gives here. */
static void check_add(void)
{
    for (size_t n = 1; n <= 150; n++) {
        struct mat x = mat_random(1, n, n), y = mat_random(1, n, n),
                   was = mat_new(1, n, n);
        memcpy(was.p, y.p, n * sizeof(float));
        check_new.add_f32(y.p, x.p, n);
        for (size_t i = 0; i < n; i++)
            check_close(y.p[i], was.p[i] + x.p[i], 0, "add, n %zu at %zu", n,
                        i);
        mat_intact(&y, "y");
        mat_free_all();
    }
}

static void check_scale(void)
{
    for (size_t n = 1; n <= 150; n++) {
        struct mat y = mat_random(1, n, n), was = mat_new(1, n, n);
        memcpy(was.p, y.p, n * sizeof(float));
        check_new.scale_f32(y.p, 1.7f, n);
        for (size_t i = 0; i < n; i++)
            check_close(y.p[i], was.p[i] * 1.7f, 0, "scale, n %zu at %zu", n,
                        i);
        mat_intact(&y, "y");
        mat_free_all();
    }
}

static void check_dot(void)
{
    static const size_t real[] = {384, 768, 1536, 3072, 4099};
    for (size_t t = 0; t <= 150 + 5; t++) {
        const size_t n = t <= 150 ? t : real[t - 151], room = n ? n : 1;
        struct mat a = mat_random(1, room, room), b = mat_random(1, room, room);
        double sum = 0, size = 0;
        for (size_t i = 0; i < n; i++) {
            double x = (double)a.p[i] * b.p[i];
            sum += x;
            size += fabs(x);
        }
        double bound = (double)(n + 1) * UNIT * size;
        check_close(check_new.dot_f32(a.p, b.p, n), sum, bound, "dot, n %zu",
                    n);
        mat_free_all();
    }
}

void check_act(void)
{
    if (check_func((void (*)(void))check_new.act_f32, "act_f32"))
        for (enum act act = ACT_NONE; act <= ACT_SIGMOID; act++) {
            check_range(act, 9973); /* about 430,000 floats of every size */
            check_lengths(act);
        }
    if (check_func((void (*)(void))check_new.add_f32, "add_f32"))
        check_add();
    if (check_func((void (*)(void))check_new.scale_f32, "scale_f32"))
        check_scale();
    if (check_func((void (*)(void))check_new.dot_f32, "dot_f32"))
        check_dot();
}
