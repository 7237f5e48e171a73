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
                        quad[r] = load_at(xs[r], 4 * $at);
                    }
                };
            }
            macro_rules! step {
                ($u:expr, $lane:expr) => {
                    for r in 0..R {
                        let b = broadcast::<$lane>(quad[r]);
                        for v in 0..N {
                            let weight = load_at(w, 16 * N * $u + 16 * v);
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

/// One row of two neighbouring panels of 16 columns.
///
/// A row alone has too few sums in flight: each waits for its own last addition. Eight of them
/// hide that wait. Eight sums and eight weights do not fit in the sixteen registers, so a step is
/// taken in two halves.
#[inline(never)]
unsafe fn pair(a: &Args, x: Addr, w: Addr, bias: Addr, out: Addr) {
    let (k16, beside) = (a[7], 4 * a[7] * a[10]);
    let mut acc = [splat(0.0); 8];
    for v in 0..8 {
        acc[v] = load(bias + 16 * v);
    }
    let (mut x, mut panel) = (x, w);
    for _ in 0..a[9] {
        let (mut at, mut w, mut left) = (x, panel, k16);
        let mut next = w + beside;
        loop {
            let mut quad;
            macro_rules! half {
                ($u:expr, $w:expr, $first:expr, $done:expr) => {
                    let b = broadcast::<{ $u % 4 }>(quad);
                    for v in 0..4 {
                        let weight = load_at($w, 64 * $u + 16 * v);
                        acc[$first + v] = add(acc[$first + v], mul(b, weight));
                    }
                    if left == 16 * $u + $done {
                        break;
                    }
                };
            }
            // a step ends at a multiple of 16, so the test between its halves never breaks
            macro_rules! step {
                ($u:expr) => {
                    half!($u, w, 0, 8);
                    half!($u, next, 4, 16);
                };
            }
            quad = load(at);
            step!(0);
            step!(1);
            step!(2);
            step!(3);
            quad = load_at(at, 16);
            step!(4);
            step!(5);
            step!(6);
            step!(7);
            w += 64 * 8;
            next += 64 * 8;
            left -= 16 * 8;
            at += 32;
        }
        panel += 4 * k16;
        x -= a[11];
    }
    let floor = splat(f32::from_bits(a[12] as u32));
    for v in 0..8 {
        store(out + 16 * v, most(acc[v], floor));
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
    while a[6] == 1 && vectors >= 8 {
        pair(a, a[2], w, bias, out);
        w += 8 * a[7] * a[10];
        bias += 128;
        out += 128;
        vectors -= 8;
    }
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
