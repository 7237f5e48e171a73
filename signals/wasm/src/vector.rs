//! Four f32 lanes, either as WASM SIMD128 or as plain scalars.
//!
//! Both forms do the same IEEE operations on the same lanes in the same order, so that the two
//! builds agree in every bit. There is no fused multiply-add and no relaxed SIMD.

/// Byte address in linear memory.
pub type Addr = usize;

#[inline(always)]
pub unsafe fn get(p: Addr) -> f32 {
    *(p as *const f32)
}

#[inline(always)]
pub unsafe fn put(p: Addr, v: f32) {
    *(p as *mut f32) = v
}

#[cfg(target_feature = "simd128")]
mod lanes {
    use super::Addr;
    use core::arch::wasm32::*;

    pub type V = v128;

    #[inline(always)]
    pub unsafe fn load(p: Addr) -> V {
        v128_load(p as *const v128)
    }
    /// `load(p + offset)`, with the offset inside the load instruction.
    ///
    /// The compiler may put it there only if the address cannot wrap, which `ptr::add` promises
    /// and an addition of integers does not. The host grows memory to at most 1 GiB.
    #[inline(always)]
    pub unsafe fn load_at(p: Addr, offset: usize) -> V {
        v128_load((p as *const u8).add(offset) as *const v128)
    }
    #[inline(always)]
    pub unsafe fn store(p: Addr, v: V) {
        v128_store(p as *mut v128, v)
    }
    #[inline(always)]
    pub unsafe fn load_splat(p: Addr) -> V {
        v128_load32_splat(p as *const u32)
    }
    #[inline(always)]
    pub fn splat(v: f32) -> V {
        f32x4_splat(v)
    }
    /// Lane `I` in all four lanes.
    #[inline(always)]
    pub fn broadcast<const I: usize>(v: V) -> V {
        i32x4_shuffle::<I, I, I, I>(v, v)
    }
    #[inline(always)]
    pub fn lane<const I: usize>(v: V) -> f32 {
        f32x4_extract_lane::<I>(v)
    }
    #[inline(always)]
    pub fn add(a: V, b: V) -> V {
        f32x4_add(a, b)
    }
    #[inline(always)]
    pub fn sub(a: V, b: V) -> V {
        f32x4_sub(a, b)
    }
    #[inline(always)]
    pub fn mul(a: V, b: V) -> V {
        f32x4_mul(a, b)
    }
    #[inline(always)]
    pub fn div(a: V, b: V) -> V {
        f32x4_div(a, b)
    }
    /// `b < a ? b : a`, lane by lane: a NaN in `a` stays.
    #[inline(always)]
    pub fn least(a: V, b: V) -> V {
        f32x4_pmin(a, b)
    }
    /// `a < b ? b : a`, lane by lane: a NaN in `a` stays.
    #[inline(always)]
    pub fn most(a: V, b: V) -> V {
        f32x4_pmax(a, b)
    }
    #[inline(always)]
    pub fn sqrt(a: V) -> V {
        f32x4_sqrt(a)
    }
    #[inline(always)]
    pub fn abs(a: V) -> V {
        f32x4_abs(a)
    }
    #[inline(always)]
    pub fn neg(a: V) -> V {
        f32x4_neg(a)
    }
    #[inline(always)]
    pub fn minus_abs(a: V) -> V {
        v128_or(a, i32x4_splat(i32::MIN))
    }
    /// `a < b ? yes : no`, lane by lane.
    #[inline(always)]
    pub fn if_less(a: V, b: V, yes: V, no: V) -> V {
        v128_bitselect(yes, no, f32x4_lt(a, b))
    }
    /// `bits(v) << 23` plus `k`, as float bits.
    #[inline(always)]
    pub fn exponent(v: V, k: i32) -> V {
        i32x4_add(i32x4_shl(v, 23), i32x4_splat(k))
    }
    /// `bits(v) >> 23` (signed) minus `k`, as a float number.
    #[inline(always)]
    pub fn exponent_of(v: V, k: i32) -> V {
        f32x4_convert_i32x4(i32x4_sub(i32x4_shr(v, 23), i32x4_splat(k)))
    }
    /// `(bits(v) & m) | k`, as float bits.
    #[inline(always)]
    pub fn bits(v: V, m: i32, k: i32) -> V {
        v128_or(v128_and(v, i32x4_splat(m)), i32x4_splat(k))
    }
    /// The first `n` lanes of `v`, `other` in the rest.
    #[inline(always)]
    pub fn first(v: V, n: usize, other: V) -> V {
        v128_bitselect(v, other, i32x4_lt(i32x4(0, 1, 2, 3), i32x4_splat(n as i32)))
    }
    /// Whether all lanes are finite.
    #[inline(always)]
    pub fn finite(v: V) -> bool {
        let m = i32x4_splat(0x7f80_0000);
        !v128_any_true(i32x4_eq(v128_and(v, m), m))
    }
}

#[cfg(not(target_feature = "simd128"))]
mod lanes {
    use super::{get, put, Addr};

    #[derive(Clone, Copy)]
    pub struct V([f32; 4]);

    #[inline(always)]
    fn map(a: V, f: impl Fn(f32) -> f32) -> V {
        V([f(a.0[0]), f(a.0[1]), f(a.0[2]), f(a.0[3])])
    }
    #[inline(always)]
    fn zip(a: V, b: V, f: impl Fn(f32, f32) -> f32) -> V {
        V([f(a.0[0], b.0[0]), f(a.0[1], b.0[1]), f(a.0[2], b.0[2]), f(a.0[3], b.0[3])])
    }
    #[inline(always)]
    pub unsafe fn load(p: Addr) -> V {
        V([get(p), get(p + 4), get(p + 8), get(p + 12)])
    }
    #[inline(always)]
    pub unsafe fn load_at(p: Addr, offset: usize) -> V {
        load(p + offset)
    }
    #[inline(always)]
    pub unsafe fn store(p: Addr, v: V) {
        put(p, v.0[0]);
        put(p + 4, v.0[1]);
        put(p + 8, v.0[2]);
        put(p + 12, v.0[3]);
    }
    #[inline(always)]
    pub unsafe fn load_splat(p: Addr) -> V {
        splat(get(p))
    }
    #[inline(always)]
    pub fn splat(v: f32) -> V {
        V([v; 4])
    }
    #[inline(always)]
    pub fn broadcast<const I: usize>(v: V) -> V {
        splat(v.0[I])
    }
    #[inline(always)]
    pub fn lane<const I: usize>(v: V) -> f32 {
        v.0[I]
    }
    #[inline(always)]
    pub fn add(a: V, b: V) -> V {
        zip(a, b, |x, y| x + y)
    }
    #[inline(always)]
    pub fn sub(a: V, b: V) -> V {
        zip(a, b, |x, y| x - y)
    }
    #[inline(always)]
    pub fn mul(a: V, b: V) -> V {
        zip(a, b, |x, y| x * y)
    }
    #[inline(always)]
    pub fn div(a: V, b: V) -> V {
        zip(a, b, |x, y| x / y)
    }
    #[inline(always)]
    pub fn least(a: V, b: V) -> V {
        zip(a, b, |x, y| if y < x { y } else { x })
    }
    #[inline(always)]
    pub fn most(a: V, b: V) -> V {
        zip(a, b, |x, y| if x < y { y } else { x })
    }
    #[inline(always)]
    pub fn sqrt(a: V) -> V {
        map(a, root)
    }
    #[inline(always)]
    pub fn abs(a: V) -> V {
        map(a, |x| f32::from_bits(x.to_bits() & 0x7fff_ffff))
    }
    #[inline(always)]
    pub fn neg(a: V) -> V {
        map(a, |x| f32::from_bits(x.to_bits() ^ 0x8000_0000))
    }
    #[inline(always)]
    pub fn minus_abs(a: V) -> V {
        map(a, |x| f32::from_bits(x.to_bits() | 0x8000_0000))
    }
    #[inline(always)]
    pub fn if_less(a: V, b: V, yes: V, no: V) -> V {
        let mut out = no;
        for i in 0..4 {
            if a.0[i] < b.0[i] {
                out.0[i] = yes.0[i];
            }
        }
        out
    }
    #[inline(always)]
    pub fn exponent(v: V, k: i32) -> V {
        map(v, |x| f32::from_bits(((x.to_bits() as i32) << 23).wrapping_add(k) as u32))
    }
    #[inline(always)]
    pub fn exponent_of(v: V, k: i32) -> V {
        map(v, |x| ((x.to_bits() as i32) >> 23).wrapping_sub(k) as f32)
    }
    #[inline(always)]
    pub fn bits(v: V, m: i32, k: i32) -> V {
        map(v, |x| f32::from_bits((x.to_bits() & m as u32) | k as u32))
    }
    #[inline(always)]
    pub fn first(v: V, n: usize, other: V) -> V {
        let mut out = other;
        for i in 0..4 {
            if i < n {
                out.0[i] = v.0[i];
            }
        }
        out
    }
    #[inline(always)]
    pub fn finite(v: V) -> bool {
        v.0.iter().all(|x| x.to_bits() & 0x7f80_0000 != 0x7f80_0000)
    }

    /// Correctly rounded square root: `core` has none, and the scalar build has no `f32x4.sqrt`.
    ///
    /// Newton's iteration in f64 ends within 2^-51 of the root, and no root of an f32 lies that
    /// close to the middle between two f32 numbers, so rounding to f32 gives the IEEE result.
    fn root(x: f32) -> f32 {
        if !(x > 0.0) || x.to_bits() == 0x7f80_0000 {
            return if x < 0.0 { f32::NAN } else { x };
        }
        let d = x as f64;
        let mut r = f64::from_bits((d.to_bits() >> 1) + 0x1ff8_0000_0000_0000);
        for _ in 0..6 {
            r = 0.5 * (r + d / r);
        }
        r as f32
    }
}

pub use lanes::*;
