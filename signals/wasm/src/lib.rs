//! Inference kernel: an interpreter of compiled plans over linear memory.
//!
//! The host compiles a checked plan to instructions (`signals/plan/lower.py` holds the same
//! table), writes them with the weights into memory, and calls `run`. The module imports nothing:
//! it cannot read a clock, a file or a random number.
//!
//! Conventions: an address is in bytes; a matrix has rows of `stride` bytes, a multiple of 16;
//! vector operations may read and write up to the stride, so numbers beyond the last column are
//! unspecified and never reach a column that counts. Every sum runs in one fixed order.
#![no_std]

mod elementwise;
mod gemm;
mod maths;
mod recurrent;
mod rows;
mod vector;

use vector::Addr;

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}

/// Version of the instruction set; the host refuses another.
#[no_mangle]
pub extern "C" fn version() -> i32 {
    1
}

/// Run the instructions at `pc` until `END`.
///
/// Returns 0, or the positive code of the first `CHECK` that found a number that is not finite.
/// An unknown instruction traps.
#[no_mangle]
pub unsafe extern "C" fn run(pc: i32) -> i32 {
    let mut pc = pc as Addr;
    loop {
        let a = &*((pc + 8) as *const [usize; 16]);
        match *(pc as *const u32) {
            0 => return 0,
            1 => {
                if !rows::all_finite(a[1], a[2], a[3], a[4]) {
                    return a[0] as i32;
                }
            }
            2 => gemm::gemm(a),
            3 => recurrent::lstm(a),
            4 => elementwise::unary(a[0], a[1], a[2], a[3], a[4], a[5], a[6]),
            5 => elementwise::binary(a),
            6 => rows::reduce_cols(a[0], a[1], a[2], a[3], a[4], a[5], a[6]),
            7 => rows::reduce_rows(a[0], a[1], a[2], a[3], a[4], a[5]),
            8 => rows::softmax(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7]),
            9 => rows::layer_norm(a),
            10 => rows::sort(a[0], a[1], a[2], a[3], a[4], a[5]),
            11 => rows::copy(a[0], a[1], a[2], a[3], a[4], a[5]),
            12 => rows::transpose(a[0], a[1], a[2], a[3], a[4], a[5]),
            13 => rows::reshape(a[0], a[1], a[2], a[3], a[4], a[5], a[6]),
            14 => rows::pack(a[0], a[1], a[2], a[3], a[4]),
            _ => core::arch::wasm32::unreachable(),
        }
        pc += 8 + 4 * *((pc + 4) as *const u32) as usize;
    }
}
