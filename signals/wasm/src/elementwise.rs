//! Activations and broadcast arithmetic, four numbers at a time.

use crate::maths;
use crate::vector::*;

#[inline(always)]
unsafe fn map(
    src: Addr,
    dst: Addr,
    rows: usize,
    vectors: usize,
    src_stride: usize,
    dst_stride: usize,
    f: impl Fn(V) -> V,
) {
    for r in 0..rows {
        for v in 0..vectors {
            store(dst + r * dst_stride + 16 * v, f(load(src + r * src_stride + 16 * v)));
        }
    }
}

/// Apply activation `kind` to rows of `vectors` vectors; the source may be the destination.
#[inline(never)]
pub unsafe fn unary(
    kind: usize,
    src: Addr,
    dst: Addr,
    rows: usize,
    vectors: usize,
    src_stride: usize,
    dst_stride: usize,
) {
    macro_rules! all {
        ($f:expr) => {
            map(src, dst, rows, vectors, src_stride, dst_stride, $f)
        };
    }
    match kind {
        0 => all!(|x| x),
        1 => all!(maths::relu),
        2 => all!(maths::tanh),
        3 => all!(maths::sigmoid),
        4 => all!(maths::gelu),
        5 => all!(maths::elu),
        6 => all!(maths::softplus),
        7 => all!(|x| mul(x, maths::sigmoid(x))),
        8 => all!(maths::exp),
        9 => all!(maths::log),
        10 => all!(sqrt),
        11 => all!(abs),
        12 => all!(neg),
        13 => all!(|x| mul(x, x)),
        _ => core::arch::wasm32::unreachable(),
    }
}

/// One operand of a binary operation: a matrix, a row for all rows, or a number for each row.
struct Operand {
    row: Addr,
    stride: usize,
    splat: bool,
}

impl Operand {
    /// Address and step of the current row; a column operand is spread into `buffer`.
    #[inline(always)]
    unsafe fn at(&self, buffer: &mut [f32; 4]) -> (Addr, usize) {
        if !self.splat {
            return (self.row, 16);
        }
        let p = buffer.as_mut_ptr() as Addr;
        store(p, load_splat(self.row));
        (p, 0)
    }
}

#[inline(always)]
unsafe fn zip(
    a: &mut Operand,
    b: &mut Operand,
    out: Addr,
    stride: usize,
    rows: usize,
    vectors: usize,
    f: impl Fn(V, V) -> V,
) {
    let (mut left, mut right) = ([0.0; 4], [0.0; 4]);
    for r in 0..rows {
        let (mut p, p_step) = a.at(&mut left);
        let (mut q, q_step) = b.at(&mut right);
        for v in 0..vectors {
            store(out + r * stride + 16 * v, f(load(p), load(q)));
            p += p_step;
            q += q_step;
        }
        a.row += a.stride;
        b.row += b.stride;
    }
}

/// kind, activation, a, a stride, a is a column, b, b stride, b is a column, out, out stride,
/// rows, vectors.
#[inline(never)]
pub unsafe fn binary(a: &[usize; 16]) {
    let mut x = Operand { row: a[2], stride: a[3], splat: a[4] != 0 };
    let mut y = Operand { row: a[5], stride: a[6], splat: a[7] != 0 };
    macro_rules! all {
        ($f:expr) => {
            zip(&mut x, &mut y, a[8], a[9], a[10], a[11], $f)
        };
    }
    match a[0] {
        0 => all!(add),
        1 => all!(sub),
        2 => all!(mul),
        3 => all!(div),
        4 => all!(most),
        5 => all!(least),
        6 => all!(|p, q| mul(p, maths::gate(q))),
        _ => core::arch::wasm32::unreachable(),
    }
    if a[1] != 0 {
        unary(a[1], a[8], a[8], a[10], a[11], a[9], a[9]);
    }
}
