//! The recurrent half of an LSTM: the input half comes ready from one matrix product.
//!
//! Units go in panels of eight with their four gates side by side,
//! `[panel][unit in][i i f f g g o o]` of vectors of four units, so that the gates of a panel are
//! used from registers. The sums go on where the input half ended, unit by unit.

use crate::maths::{gate, tanh};
use crate::vector::*;

/// projection, its stride, w, rows, panels, 16 * units, first h, next h and its stride, first c,
/// next c and its stride, h out and its stride, c out and its stride.
///
/// A sequence reads its own last output (`next h` = `h out`); a batch reads one state a row.
pub unsafe fn lstm(a: &[usize; 16]) {
    let (mut x, mut h, mut c) = (a[0], a[6], a[9]);
    let (mut next_h, mut next_c) = (a[7], a[10]);
    let (mut h_out, mut c_out) = (a[12], a[14]);
    for _ in 0..a[3] {
        let mut w = a[2];
        for panel in 0..a[4] {
            gates(x + 128 * panel, w, a[5], h);
            w += 8 * a[5];
        }
        cells(x, a[4], c, c_out);
        hidden(x, a[4], c_out, h_out);
        x += a[1];
        h = next_h;
        c = next_c;
        next_h += a[8];
        next_c += a[11];
        h_out += a[13];
        c_out += a[15];
    }
}

/// Go on with the 32 gate sums of one panel, over all units, in place.
#[inline(never)]
unsafe fn gates(x: Addr, w: Addr, k16: usize, h: Addr) {
    let mut acc = [splat(0.0); 8];
    for v in 0..8 {
        acc[v] = load(x + 16 * v);
    }
    let (mut w, mut h, mut left) = (w, h, k16);
    // see gemm.rs for the shape of this loop; eight sums and eight weights do not fit in the
    // sixteen registers, so each step is taken in two halves
    loop {
        let mut quad = splat(0.0);
        macro_rules! half {
            ($u:expr, $first:expr) => {
                let b = broadcast::<{ $u % 4 }>(quad);
                for v in $first..$first + 4 {
                    acc[v] = add(acc[v], mul(b, load_at(w, 128 * $u + 16 * v)));
                }
                if left == 16 * $u + 2 * $first + 8 {
                    break;
                }
            };
        }
        macro_rules! step {
            ($u:expr) => {
                if $u % 4 == 0 {
                    quad = load_at(h, 4 * $u);
                }
                half!($u, 0);
                half!($u, 4);
            };
        }
        step!(0);
        step!(1);
        step!(2);
        step!(3);
        step!(4);
        step!(5);
        step!(6);
        step!(7);
        w += 1024;
        h += 32;
        left -= 128;
    }
    for v in 0..8 {
        store(x + 16 * v, acc[v]);
    }
}

/// New cell states, and the output gates in place. Apart from `hidden`, so that the long chains
/// of operations of one unit overlap with those of the next instead of waiting for each other.
#[inline(never)]
unsafe fn cells(x: Addr, panels: usize, c: Addr, c_out: Addr) {
    for p in 0..panels {
        for v in 0..2 {
            let (at, unit) = (x + 128 * p + 16 * v, 32 * p + 16 * v);
            let input = mul(gate(load(at)), tanh(load(at + 64)));
            let kept = mul(gate(load(at + 32)), load(c + unit));
            store(c_out + unit, add(kept, input));
            store(at + 96, gate(load(at + 96)));
        }
    }
}

/// New hidden states from cell states and output gates.
#[inline(never)]
unsafe fn hidden(x: Addr, panels: usize, c: Addr, h_out: Addr) {
    for p in 0..panels {
        for v in 0..2 {
            let (at, unit) = (x + 128 * p + 16 * v, 32 * p + 16 * v);
            store(h_out + unit, mul(load(at + 96), tanh(load(c + unit))));
        }
    }
}
