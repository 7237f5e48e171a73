//! Matrix products with packed weights: dense layers and causal dilated convolutions.
//!
//! Weights lie in panels of 16, 8 or 4 columns, `[panel][tap][in][columns]`, so that a panel is
//! read once from front to back. Each output starts from its bias and adds its inputs one after
//! another, newest tap first: the order of the sum does not depend on rows, panels or build.
//!
//! Why the steps are written out with a test after each: wasmtime's compiler moves pure
//! arithmetic down to its next use, so a long straight block would first load everything and
//! spill it; the branch keeps each step's sums in registers. And its fuel check sits on loop
//! heads and spills all vector registers there, so a loop head pays only every eighth step.

use crate::vector::*;

/// out, out stride, x, x stride, w, bias, rows, 16 * inputs, vectors of 4 outputs,
/// active taps, taps, bytes between taps, lower bound of the outputs (float bits).
type Args = [usize; 16];

#[inline(always)]
unsafe fn tile<const R: usize, const N: usize>(a: &Args, x: Addr, w: Addr, bias: Addr, out: Addr) {
    let (out_stride, x_stride, k16) = (a[1], a[3], a[7]);
    let mut acc = [[splat(0.0); N]; R];
    for row in acc.iter_mut() {
        for v in 0..N {
            row[v] = load(bias + 16 * v);
        }
    }
    let mut back = 0;
    let mut panel = w;
    for _ in 0..a[9] {
        let mut xs = [x - back; R];
        for r in 1..R {
            xs[r] += r * x_stride;
        }
        let mut w = panel;
        let mut left = k16;
        loop {
            let mut quad = [splat(0.0); R];
            macro_rules! inputs {
                ($at:expr) => {
                    for r in 0..R {
                        quad[r] = load(low(xs[r]) + 4 * $at);
                    }
                };
            }
            macro_rules! step {
                ($u:expr, $lane:expr) => {
                    for r in 0..R {
                        let b = broadcast::<$lane>(quad[r]);
                        for v in 0..N {
                            let weight = load(low(w) + 16 * N * $u + 16 * v);
                            acc[r][v] = add(acc[r][v], mul(b, weight));
                        }
                    }
                    if left == 16 * ($u + 1) {
                        break;
                    }
                };
            }
            inputs!(0);
            step!(0, 0);
            step!(1, 1);
            step!(2, 2);
            step!(3, 3);
            inputs!(4);
            step!(4, 0);
            step!(5, 1);
            step!(6, 2);
            step!(7, 3);
            w += 16 * N * 8;
            left -= 16 * 8;
            for r in 0..R {
                xs[r] += 32;
            }
        }
        panel += N * k16;
        back += a[11];
    }
    let floor = splat(f32::from_bits(a[12] as u32));
    for r in 0..R {
        for v in 0..N {
            store(out + r * out_stride + 16 * v, most(acc[r][v], floor));
        }
    }
}

/// All rows of one panel of `4 * N` columns.
#[inline(never)]
unsafe fn panel<const N: usize>(a: &Args, w: Addr, bias: Addr, out: Addr) {
    let (mut out, mut x) = (out, a[2]);
    let end = x + a[6] * a[3];
    while x + a[3] < end {
        tile::<2, N>(a, x, w, bias, out);
        x += 2 * a[3];
        out += 2 * a[1];
    }
    if x < end {
        tile::<1, N>(a, x, w, bias, out);
    }
}

/// `out = max(floor, bias + sum over taps of x @ w)`.
#[inline(never)]
pub unsafe fn gemm(a: &Args) {
    let (mut out, mut w, mut bias, mut vectors) = (a[0], a[4], a[5], a[8]);
    while vectors > 0 {
        let n = match vectors {
            1 => 1,
            2 | 3 => 2,
            _ => 4,
        };
        match n {
            1 => panel::<1>(a, w, bias, out),
            2 => panel::<2>(a, w, bias, out),
            _ => panel::<4>(a, w, bias, out),
        }
        w += n * a[7] * a[10];
        bias += 16 * n;
        out += 16 * n;
        vectors -= n;
    }
}
