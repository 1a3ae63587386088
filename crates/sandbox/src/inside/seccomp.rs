//! The filter of system calls, made from the one table in [`super::syscalls`].
//!
//! The table's numbers are cut into ranges of equal verdict, and the program is a binary search over them: a dozen steps for any
//! call. A chain of comparisons, one per call, would be ten times as long, and the kernel walks the whole program for every
//! number when it is installed: a millisecond at each start.

use super::InsideError;
use super::syscalls::{Test, Verdict, table};
use seccompiler::sock_filter;

/// `AUDIT_ARCH_*` of this machine: numbers mean something only together with it.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// Offsets into `struct seccomp_data`.
const NUMBER_OFFSET: u32 = 0;
const ARCHITECTURE_OFFSET: u32 = 4;
const ARGUMENTS_OFFSET: u32 = 16;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const JUMP_IF_AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const JUMP_IF_ANY_BIT: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const REFUSE: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
const UNKNOWN: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;

/// Installs the filter for this process and all that come from it. Needs `no_new_privs`.
pub fn apply() -> Result<(), InsideError> {
    seccompiler::apply_filter(&program()).map_err(InsideError::at("install the filter of system calls"))
}

/// Numbers from `first` on, up to the next range.
struct Range {
    first: u32,
    verdict: Verdict,
}

fn program() -> Vec<sock_filter> {
    let mut program = vec![
        statement(LOAD, ARCHITECTURE_OFFSET),
        jump(JUMP_IF_EQUAL, ARCHITECTURE, 1, 0),
        statement(RETURN, KILL),
        statement(LOAD, NUMBER_OFFSET),
    ];
    program.extend(search(&ranges()));
    program
}

/// The last range, beyond every known number, is unknown; so are the numbers of other call tables (x32) that lie there.
fn ranges() -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    for (first, verdict) in (0..).zip(table().into_iter().chain([Verdict::Unknown])) {
        if ranges.last().is_none_or(|range| range.verdict != verdict) {
            ranges.push(Range { first, verdict });
        }
    }
    ranges
}

/// A binary search for the number that is loaded.
fn search(ranges: &[Range]) -> Vec<sock_filter> {
    match ranges {
        [] => vec![statement(RETURN, UNKNOWN)],
        [range] => answer(range.verdict),
        _ => {
            let (low, high) = ranges.split_at(ranges.len() / 2);
            let (below, above) = (search(low), search(high));
            let distance =
                u8::try_from(below.len()).expect("half of a few hundred instructions is within a jump");
            let decision = jump(JUMP_IF_AT_LEAST, high[0].first, distance, 0);
            [vec![decision], below, above].concat()
        }
    }
}

fn answer(verdict: Verdict) -> Vec<sock_filter> {
    match verdict {
        Verdict::Allow => vec![statement(RETURN, ALLOW)],
        Verdict::Refuse => vec![statement(RETURN, REFUSE)],
        Verdict::Unknown => vec![statement(RETURN, UNKNOWN)],
        Verdict::Judge { argument, test } => judge(argument, test),
    }
}

fn judge(argument: u8, test: Test) -> Vec<sock_filter> {
    // The lower half of the argument: both machines are little-endian.
    let mut code = vec![statement(LOAD, ARGUMENTS_OFFSET + 8 * u32::from(argument))];
    let (kind, values, matched, otherwise): (u16, &[u32], u32, u32) = match &test {
        Test::OneOf(values) => (JUMP_IF_EQUAL, values, ALLOW, REFUSE),
        Test::NoneOf(values) => (JUMP_IF_EQUAL, values, REFUSE, ALLOW),
        Test::HasNoBit(mask) => (JUMP_IF_ANY_BIT, std::slice::from_ref(mask), REFUSE, ALLOW),
    };
    for (left, value) in (0..values.len()).rev().zip(values) {
        // Over the comparisons that are left, and the answer for no match.
        let distance = u8::try_from(left + 1).expect("a handful of values");
        code.push(jump(kind, *value, distance, 0));
    }
    code.push(statement(RETURN, otherwise));
    code.push(statement(RETURN, matched));
    code
}

const fn statement(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

const fn jump(code: u16, k: u32, if_true: u8, if_false: u8) -> sock_filter {
    sock_filter { code, jt: if_true, jf: if_false, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's machine, as far as this program uses it.
    fn run(program: &[sock_filter], architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
        let load = |offset: u32| match offset {
            NUMBER_OFFSET => number,
            ARCHITECTURE_OFFSET => architecture,
            _ => arguments[(offset - ARGUMENTS_OFFSET) as usize / 8] as u32,
        };
        let (mut accumulator, mut at) = (0, 0);
        loop {
            let instruction = &program[at];
            let holds = match instruction.code {
                LOAD => {
                    accumulator = load(instruction.k);
                    false
                }
                JUMP_IF_EQUAL => accumulator == instruction.k,
                JUMP_IF_AT_LEAST => accumulator >= instruction.k,
                JUMP_IF_ANY_BIT => accumulator & instruction.k != 0,
                RETURN => return instruction.k,
                other => panic!("instruction {other}"),
            };
            at += 1 + usize::from(if holds { instruction.jt } else { instruction.jf });
        }
    }

    fn expected(verdict: Verdict, arguments: [u64; 6]) -> u32 {
        match verdict {
            Verdict::Allow => ALLOW,
            Verdict::Refuse => REFUSE,
            Verdict::Unknown => UNKNOWN,
            Verdict::Judge { argument, test } => {
                let value = arguments[usize::from(argument)] as u32;
                let holds = match test {
                    Test::OneOf(values) => values.contains(&value),
                    Test::NoneOf(values) => !values.contains(&value),
                    Test::HasNoBit(mask) => value & mask == 0,
                };
                if holds { ALLOW } else { REFUSE }
            }
        }
    }

    #[test]
    fn the_program_says_of_every_call_what_the_table_says() {
        let (program, table) = (program(), table());
        let verdict = |number: u32| table.get(number as usize).copied().unwrap_or(Verdict::Unknown);
        assert!(program.len() <= libc::BPF_MAXINSNS as usize, "{}", program.len());
        let interesting = [
            0,
            1,
            2,
            8,
            10,
            16,
            17,
            40,
            0x1200_0000,
            0x1000_0000,
            0x0002_0000,
            0x5412,
            0x541c,
            0x5401,
            0xffff_ffff,
        ];
        for number in (0..1000).chain([0x4000_0000, 0x4000_0009, 0x4000_0038, u32::MAX]) {
            for value in interesting {
                // The upper half is never looked at.
                for high in [0, 0xdead_beef_0000_0000] {
                    let arguments = [value | high; 6];
                    let verdict = verdict(number);
                    let said = run(&program, ARCHITECTURE, number, arguments);
                    assert_eq!(said, expected(verdict, arguments), "call {number} with {value:#x}");
                }
            }
            assert_eq!(run(&program, 0x4000_0003, number, [0; 6]), KILL, "32-bit calls have other numbers");
        }
    }
}
