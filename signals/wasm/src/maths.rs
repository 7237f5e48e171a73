//! Elementary functions on four lanes.
//!
//! The coefficients are our own minimax fits (Lawson's iteration on a Chebyshev grid); the error
//! beside each is the fit's, and evaluation in f32 adds one or two units in the last place.

use crate::vector::*;

/// Bounds of the fits, read from memory: with a bound that it can see, the compiler replaces the
/// one-instruction `least` and `most` by the eight instructions of an IEEE minimum.
#[repr(align(16))]
struct Bound([f32; 4]);
static EXP_LOW: Bound = Bound([-87.3; 4]);
static EXP_HIGH: Bound = Bound([88.73; 4]);
static TANH_LOW: Bound = Bound([-9.02; 4]);
static TANH_HIGH: Bound = Bound([9.02; 4]);
static ERF_LOW: Bound = Bound([-3.93; 4]);
static ERF_HIGH: Bound = Bound([3.93; 4]);
static ZERO: Bound = Bound([0.0; 4]);

impl Bound {
    #[inline(always)]
    fn get(&self) -> V {
        unsafe { core::ptr::read_volatile(self.0.as_ptr() as *const V) }
    }
}

#[inline(always)]
fn at_least(x: V, low: &Bound) -> V {
    most(x, low.get())
}

#[inline(always)]
fn at_most(x: V, high: &Bound) -> V {
    least(x, high.get())
}

/// The larger of a number and zero; NaN stays.
#[inline(always)]
pub fn relu(x: V) -> V {
    at_least(x, &ZERO)
}

/// `e^x` for `x <= 0`; below -87.3 it stays at 1.2e-38. Error 3e-9 relative on the reduced range.
#[inline(always)]
pub fn exp_negative(x: V) -> V {
    let (p, n) = exp_parts(at_least(x, &EXP_LOW));
    mul(p, exponent(n, 0x3f80_0000))
}

/// `e^x`; above 88.73 it is infinity.
#[inline(always)]
pub fn exp(x: V) -> V {
    let (p, n) = exp_parts(at_most(at_least(x, &EXP_LOW), &EXP_HIGH));
    // 2^n as 2^(n-1) * 2, so that n = 128 does not overflow before the product does
    let y = mul(mul(p, exponent(n, 0x3f00_0000)), splat(2.0));
    if_less(splat(88.722_84), x, splat(f32::INFINITY), y)
}

/// `e^r` of the reduced argument, and a float whose low bits hold the power of two.
#[inline(always)]
fn exp_parts(x: V) -> (V, V) {
    let magic = splat(12_582_912.0); // 1.5 * 2^23: adding it rounds to a whole number
    let t = add(mul(x, splat(core::f32::consts::LOG2_E)), magic);
    let n = sub(t, magic);
    // ln 2 in two parts (Cody and Waite): the first has few bits, so n * part is exact
    let r = sub(sub(x, mul(n, splat(0.693_359_4))), mul(n, splat(-2.121_944_4e-4)));
    let q = splat(1.381_459_9e-3);
    let q = add(mul(q, r), splat(8.368_717e-3));
    let q = add(mul(q, r), splat(4.166_839e-2));
    let q = add(mul(q, r), splat(1.666_652_1e-1));
    let q = add(mul(q, r), splat(4.999_999_4e-1));
    (add(add(mul(q, mul(r, r)), r), splat(1.0)), t)
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub fn sigmoid(x: V) -> V {
    // e^-|x| never overflows; the right branch is chosen afterwards
    let e = exp_negative(minus_abs(x));
    div(if_less(x, splat(0.0), e, splat(1.0)), add(splat(1.0), e))
}

/// `1 / (1 + e^-x)` for gates: 6e-8 absolute, in fewer operations than `sigmoid`, which also
/// keeps the relative size of small probabilities.
#[inline(always)]
pub fn gate(x: V) -> V {
    let half = splat(0.5);
    add(mul(tanh(mul(x, half)), half), half)
}

/// Hyperbolic tangent; fit 2.1e-8 relative on |x| <= 9.02.
#[inline(always)]
pub fn tanh(x: V) -> V {
    let x = at_most(at_least(x, &TANH_LOW), &TANH_HIGH);
    let u = mul(x, x);
    let p = splat(1.331_880_4e-8);
    let p = add(mul(p, u), splat(2.058_328_3e-5));
    let p = add(mul(p, u), splat(3.494_022_5e-3));
    let p = add(mul(p, u), splat(1.337_970_8e-1));
    let p = add(mul(p, u), splat(1.0));
    let q = splat(7.761_908e-7);
    let q = add(mul(q, u), splat(3.283_073e-4));
    let q = add(mul(q, u), splat(2.587_102_7e-2));
    let q = add(mul(q, u), splat(4.671_302_3e-1));
    let q = add(mul(q, u), splat(1.0));
    div(mul(x, p), q)
}

/// Error function; fit 1.9e-8 relative on |x| <= 3.93.
#[inline(always)]
fn erf(x: V) -> V {
    let x = at_most(at_least(x, &ERF_LOW), &ERF_HIGH);
    let u = mul(x, x);
    let p = splat(2.041_975_7e-6);
    let p = add(mul(p, u), splat(2.848_059_2e-4));
    let p = add(mul(p, u), splat(3.779_521_8e-3));
    let p = add(mul(p, u), splat(5.279_001e-2));
    let p = add(mul(p, u), splat(1.907_819e-1));
    let p = add(mul(p, u), splat(1.128_379_1));
    let q = splat(3.800_398_7e-5);
    let q = add(mul(q, u), splat(1.165_190_3e-3));
    let q = add(mul(q, u), splat(1.499_726_2e-2));
    let q = add(mul(q, u), splat(1.142_567e-1));
    let q = add(mul(q, u), splat(5.024_087_7e-1));
    let q = add(mul(q, u), splat(1.0));
    div(mul(x, p), q)
}

/// `x * Phi(x)` with the exact normal distribution function.
#[inline(always)]
pub fn gelu(x: V) -> V {
    let half = mul(x, splat(0.5));
    let y = mul(half, add(splat(1.0), erf(mul(x, splat(core::f32::consts::FRAC_1_SQRT_2)))));
    // further left 1 + erf is below one rounding step, and x would magnify that step
    if_less(x, splat(-5.5), splat(-0.0), y)
}

/// `x` above zero, `e^x - 1` below.
#[inline(always)]
pub fn elu(x: V) -> V {
    let below = sub(exp_negative(at_most(x, &ZERO)), splat(1.0));
    if_less(splat(0.0), x, x, below)
}

/// `ln(1 + e^x)`; `ln(1 + y) / y` fitted to 3e-8 on [0, 1].
#[inline(always)]
pub fn softplus(x: V) -> V {
    let y = exp_negative(minus_abs(x));
    let p = splat(5.232_694_6e-3);
    let p = add(mul(p, y), splat(-2.950_524_4e-2));
    let p = add(mul(p, y), splat(7.822_596e-2));
    let p = add(mul(p, y), splat(-1.366_324_7e-1));
    let p = add(mul(p, y), splat(1.910_600_8e-1));
    let p = add(mul(p, y), splat(-2.484_298_2e-1));
    let p = add(mul(p, y), splat(3.331_909_8e-1));
    let p = add(mul(p, y), splat(-4.999_949_3e-1));
    let p = add(mul(p, y), splat(9.999_999_4e-1));
    add(relu(x), mul(p, y))
}

/// Natural logarithm of normal numbers; -inf at zero, NaN below. Fit 7e-10 relative.
#[inline(always)]
pub fn log(x: V) -> V {
    let y = most(x, splat(f32::MIN_POSITIVE));
    // y = m * 2^e with m in [1, 2), then m in [0.707, 1.414)
    let e = exponent_of(y, 127);
    let m = bits(y, 0x007f_ffff, 0x3f80_0000);
    let big = splat(core::f32::consts::SQRT_2);
    let e = if_less(big, m, add(e, splat(1.0)), e);
    let m = if_less(big, m, mul(m, splat(0.5)), m);
    let s = div(sub(m, splat(1.0)), add(m, splat(1.0)));
    let u = mul(s, s);
    let p = splat(1.496_346_6e-1);
    let p = add(mul(p, u), splat(1.998_737_2e-1));
    let p = add(mul(p, u), splat(3.333_340_9e-1));
    let p = add(mul(p, u), splat(1.0));
    let low_part = add(mul(mul(splat(2.0), s), p), mul(e, splat(-2.121_944_4e-4)));
    let y = add(low_part, mul(e, splat(0.693_359_4)));
    let y = if_less(splat(0.0), x, y, splat(f32::NEG_INFINITY));
    let y = if_less(x, splat(0.0), splat(f32::NAN), y);
    if_less(x, splat(f32::INFINITY), y, x) // infinity and NaN pass through
}
