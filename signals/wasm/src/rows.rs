//! Reductions, normalisations, order, and moving numbers about.

use crate::maths::exp_negative;
use crate::vector::*;

const SUM: usize = 0;
const MEAN: usize = 1;
const MAX: usize = 2;

#[inline(always)]
fn identity(kind: usize) -> V {
    splat(match kind {
        SUM | MEAN => 0.0,
        MAX => f32::NEG_INFINITY,
        _ => f32::INFINITY,
    })
}

#[inline(always)]
fn combine(kind: usize, a: V, b: V) -> V {
    match kind {
        SUM | MEAN => add(a, b),
        MAX => most(a, b),
        _ => least(a, b),
    }
}

/// Fold a row: four running lanes, then `(0 + 1) + (2 + 3)`, in all lanes of the result.
#[inline(always)]
unsafe fn fold(kind: usize, row: Addr, cols: usize, f: impl Fn(V) -> V) -> V {
    let none = identity(kind);
    let mut acc = none;
    let mut c = 0;
    while c + 4 <= cols {
        acc = combine(kind, acc, f(load(row + 4 * c)));
        c += 4;
    }
    if c < cols {
        acc = combine(kind, acc, first(f(load(row + 4 * c)), cols - c, none));
    }
    let left = combine(kind, broadcast::<0>(acc), broadcast::<1>(acc));
    let right = combine(kind, broadcast::<2>(acc), broadcast::<3>(acc));
    combine(kind, left, right)
}

/// Whether every number of a matrix is finite.
///
/// Zero times a finite number is zero and anything else is NaN, which a sum never loses.
pub unsafe fn all_finite(at: Addr, rows: usize, cols: usize, stride: usize) -> bool {
    let zero = splat(0.0);
    let mut sums = [zero; 4];
    for r in 0..rows {
        let row = at + r * stride;
        let mut c = 0;
        while c + 16 <= cols {
            for i in 0..4 {
                sums[i] = add(sums[i], mul(load(row + 4 * c + 16 * i), zero));
            }
            c += 16;
        }
        while c < cols {
            let n = if cols - c < 4 { cols - c } else { 4 };
            sums[0] = add(sums[0], mul(first(load(row + 4 * c), n, zero), zero));
            c += 4;
        }
    }
    finite(add(add(sums[0], sums[1]), add(sums[2], sums[3])))
}

/// One number for each row.
pub unsafe fn reduce_cols(
    kind: usize,
    src: Addr,
    dst: Addr,
    rows: usize,
    cols: usize,
    src_stride: usize,
    dst_stride: usize,
) {
    for r in 0..rows {
        let mut total = fold(kind, src + r * src_stride, cols, |x| x);
        if kind == MEAN {
            total = div(total, splat(cols as f32));
        }
        put(dst + r * dst_stride, lane::<0>(total));
    }
}

/// One number for each column, rows added oldest first.
pub unsafe fn reduce_rows(
    kind: usize,
    src: Addr,
    dst: Addr,
    rows: usize,
    vectors: usize,
    stride: usize,
) {
    for v in 0..vectors {
        let mut acc = identity(kind);
        for r in 0..rows {
            acc = combine(kind, acc, load(src + 16 * v + r * stride));
        }
        if kind == MEAN {
            acc = div(acc, splat(rows as f32));
        }
        store(dst + 16 * v, acc);
    }
}

/// Softmax of `scale * x` over the columns of each row; what a causal mask hides becomes 0.
pub unsafe fn softmax(
    src: Addr,
    dst: Addr,
    rows: usize,
    cols: usize,
    src_stride: usize,
    dst_stride: usize,
    scale: usize,
    causal: usize,
) {
    let scale = splat(f32::from_bits(scale as u32));
    for r in 0..rows {
        let (from, to) = (src + r * src_stride, dst + r * dst_stride);
        let seen = if causal != 0 { cols - rows + r + 1 } else { cols };
        let top = fold(MAX, from, seen, |x| mul(x, scale));
        let mut c = 0;
        while c < cols {
            // beyond the last seen column: zero, so that the sum below may run over all lanes
            let e = exp_negative(sub(mul(load(from + 4 * c), scale), top));
            let keep = if c < seen { seen - c } else { 0 };
            store(to + 4 * c, first(e, keep, splat(0.0)));
            c += 4;
        }
        let share = div(splat(1.0), fold(SUM, to, cols, |x| x));
        c = 0;
        while c < cols {
            store(to + 4 * c, mul(load(to + 4 * c), share));
            c += 4;
        }
    }
}

/// Normalise `R` rows side by side: their long chains of additions overlap.
#[inline(always)]
unsafe fn norm<const R: usize>(a: &[usize; 16], from: Addr, to: Addr) {
    let (cols, from_stride, to_stride) = (a[3], a[4], a[5]);
    let count = splat(cols as f32);
    let zero = splat(0.0);
    let mut mean = [zero; R];
    let mut scale = [zero; R];
    for (squares, out) in [(false, 0), (true, 1)] {
        let mut acc = [zero; R];
        let mut c = 0;
        while c < cols {
            let n = if cols - c < 4 { cols - c } else { 4 };
            for r in 0..R {
                let d = sub(load(from + r * from_stride + 4 * c), mean[r]);
                let term = if squares { mul(d, d) } else { d };
                acc[r] = add(acc[r], if n == 4 { term } else { first(term, n, zero) });
            }
            c += 4;
        }
        for r in 0..R {
            let left = add(broadcast::<0>(acc[r]), broadcast::<1>(acc[r]));
            let right = add(broadcast::<2>(acc[r]), broadcast::<3>(acc[r]));
            let average = div(add(left, right), count);
            if out == 0 {
                mean[r] = average;
            } else {
                let eps = splat(f32::from_bits(a[8] as u32));
                scale[r] = div(splat(1.0), sqrt(add(average, eps)));
            }
        }
    }
    let mut c = 0;
    while c < cols {
        let (gamma, beta) = (load(a[6] + 4 * c), load(a[7] + 4 * c));
        for r in 0..R {
            let z = mul(sub(load(from + r * from_stride + 4 * c), mean[r]), scale[r]);
            store(to + r * to_stride + 4 * c, add(mul(z, gamma), beta));
        }
        c += 4;
    }
}

/// src, dst, rows, cols, src stride, dst stride, gamma, beta, eps (float bits).
#[inline(never)]
pub unsafe fn layer_norm(a: &[usize; 16]) {
    let (mut from, mut to, mut left) = (a[0], a[1], a[2]);
    while left >= 4 {
        norm::<4>(a, from, to);
        from += 4 * a[4];
        to += 4 * a[5];
        left -= 4;
    }
    while left > 0 {
        norm::<1>(a, from, to);
        from += a[4];
        to += a[5];
        left -= 1;
    }
}

/// Each row in ascending order (insertion sort: rows are short). NaN stays where it is met.
pub unsafe fn sort(
    src: Addr,
    dst: Addr,
    rows: usize,
    cols: usize,
    src_stride: usize,
    dst_stride: usize,
) {
    for r in 0..rows {
        let (from, to) = (src + r * src_stride, dst + r * dst_stride);
        for c in 0..cols {
            let x = get(from + 4 * c);
            let mut at = c;
            while at > 0 && get(to + 4 * (at - 1)) > x {
                put(to + 4 * at, get(to + 4 * (at - 1)));
                at -= 1;
            }
            put(to + 4 * at, x);
        }
    }
}

/// Copy a matrix; exactly `cols` numbers a row are written.
pub unsafe fn copy(
    src: Addr,
    dst: Addr,
    rows: usize,
    cols: usize,
    src_stride: usize,
    dst_stride: usize,
) {
    for r in 0..rows {
        let (from, to) = (src + r * src_stride, dst + r * dst_stride);
        let mut c = 0;
        while c + 4 <= cols {
            store(to + 4 * c, load(from + 4 * c));
            c += 4;
        }
        while c < cols {
            put(to + 4 * c, get(from + 4 * c));
            c += 1;
        }
    }
}

/// `dst[c][r] = src[r][c]`.
pub unsafe fn transpose(
    src: Addr,
    dst: Addr,
    rows: usize,
    cols: usize,
    src_stride: usize,
    dst_stride: usize,
) {
    for c in 0..cols {
        for r in 0..rows {
            put(dst + c * dst_stride + 4 * r, get(src + r * src_stride + 4 * c));
        }
    }
}

/// The same numbers in C order with another number of columns.
pub unsafe fn reshape(
    src: Addr,
    dst: Addr,
    rows: usize,
    cols: usize,
    src_stride: usize,
    dst_cols: usize,
    dst_stride: usize,
) {
    let (mut row, mut c) = (dst, 0);
    for r in 0..rows {
        for i in 0..cols {
            put(row + 4 * c, get(src + r * src_stride + 4 * i));
            c += 1;
            if c == dst_cols {
                c = 0;
                row += dst_stride;
            }
        }
    }
}

/// Bring a computed matrix into the panels that the matrix product reads.
pub unsafe fn pack(src: Addr, dst: Addr, rows: usize, vectors: usize, stride: usize) {
    let (mut v, mut to) = (0, dst);
    while v < vectors {
        let n = match vectors - v {
            1 => 1,
            2 | 3 => 2,
            _ => 4,
        };
        for r in 0..rows {
            for i in 0..n {
                store(to, load(src + r * stride + 16 * (v + i)));
                to += 16;
            }
        }
        v += n;
    }
}
