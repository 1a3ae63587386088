//! The filter of system calls, made from the one list in [`crate::system_calls`].
//!
//! The table's numbers are cut into ranges of equal verdict, and the program is a binary search over them: a dozen steps for any
//! call. A chain of comparisons, one per call, would be ten times as long, and the kernel walks the whole program for every
//! number when it is installed: a millisecond at each start.

use super::InsideError;
use crate::system_calls::{Condition, Named, Rule, Test, Verdict, mask_of, table};
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
const KEEP_BITS: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const REFUSE: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
const ABSENT: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
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

/// The last range, beyond every known number, is absent; so are the numbers of other call tables (x32) that lie there.
fn ranges() -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    for (first, verdict) in (0..).zip(table().into_iter().chain([Verdict::Absent])) {
        if ranges.last().is_none_or(|range| range.verdict != verdict) {
            ranges.push(Range { first, verdict });
        }
    }
    ranges
}

/// A binary search for the number that is loaded.
fn search(ranges: &[Range]) -> Vec<sock_filter> {
    match ranges {
        [] => vec![statement(RETURN, ABSENT)],
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
        Verdict::Absent => vec![statement(RETURN, ABSENT)],
        Verdict::Judge(rules) => {
            let refusal = [statement(RETURN, REFUSE)];
            rules.iter().flat_map(judge).chain(refusal).collect()
        }
    }
}

/// Allows if every condition holds; falls through to what follows if one does not. Made from its end, where the distance to that is
/// known.
fn judge(rule: &Rule) -> Vec<sock_filter> {
    let mut code = vec![statement(RETURN, ALLOW)];
    for condition in rule.iter().rev() {
        code = [check(*condition, code.len()), code].concat();
    }
    code
}

/// Goes on if the condition holds, else over the `rest` that follows.
fn check(condition: Condition, rest: usize) -> Vec<sock_filter> {
    // The lower half of the argument: both machines are little-endian.
    let mut code = vec![statement(LOAD, ARGUMENTS_OFFSET + 8 * u32::from(condition.argument))];
    match condition.test {
        Test::OneOf(values) => code.extend(one_of(values, rest)),
        Test::NoneOf(values) => code.extend(none_of(values, rest)),
        Test::HasNoBit(bits) => code.push(jump(JUMP_IF_ANY_BIT, mask_of(bits), distance(rest), 0)),
        Test::MaskedOneOf(mask, values) => {
            code.push(statement(KEEP_BITS, mask));
            code.extend(one_of(values, rest));
        }
    }
    code
}

fn one_of(values: &[Named], rest: usize) -> impl Iterator<Item = sock_filter> {
    (0..values.len()).rev().zip(values).map(move |(left, (_, value))| match left {
        0 => jump(JUMP_IF_EQUAL, *value, 0, distance(rest)),
        _ => jump(JUMP_IF_EQUAL, *value, distance(left), 0),
    })
}

fn none_of(values: &[Named], rest: usize) -> impl Iterator<Item = sock_filter> {
    (0..values.len()).rev().zip(values).map(move |(left, (_, value))| {
        // Over the comparisons that are left as well.
        jump(JUMP_IF_EQUAL, *value, distance(left + rest), 0)
    })
}

fn distance(instructions: usize) -> u8 {
    u8::try_from(instructions).expect("a rule has a handful of instructions")
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
    use crate::system_calls::{JUDGED, verdict};
    use std::collections::BTreeSet;

    /// Each value in each of the first three places.
    fn three_of(values: &BTreeSet<u64>) -> Vec<[u64; 6]> {
        let mut all = Vec::new();
        for (first, second) in values.iter().flat_map(|a| values.iter().map(move |b| (*a, *b))) {
            all.extend(values.iter().map(|third| [first, second, *third, 0, 0, 0]));
        }
        all
    }

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
                KEEP_BITS => {
                    accumulator &= instruction.k;
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

    fn expected(verdict: Verdict) -> u32 {
        match verdict {
            Verdict::Allow => ALLOW,
            Verdict::Refuse => REFUSE,
            Verdict::Absent => ABSENT,
            Verdict::Judge(_) => panic!("a verdict with arguments"),
        }
    }

    #[test]
    fn the_program_says_of_every_call_what_the_table_says() {
        let (program, table) = (program(), table());
        assert!(program.len() <= libc::BPF_MAXINSNS as usize, "{}", program.len());
        println!("the filter has {} instructions", program.len());
        let of_tests = JUDGED.iter().flat_map(|judged| judged.rules.iter().copied().flatten());
        let values = of_tests.flat_map(|condition| match condition.test {
            Test::OneOf(values) | Test::NoneOf(values) | Test::HasNoBit(values) => values,
            Test::MaskedOneOf(_, values) => values,
        });
        let interesting: BTreeSet<u64> = values
            .flat_map(|(_, value)| [*value, value | libc::SOCK_CLOEXEC as u32, value ^ 1, value << 1])
            .chain([0, 3, 4, 12, 17, 0xffff_ffff])
            .map(u64::from)
            .collect();
        for number in (0..1000).chain([0x4000_0000, 0x4000_0009, 0x4000_0038, u32::MAX]) {
            let verdict = verdict(&table, number);
            let arguments: Vec<[u64; 6]> = match verdict {
                Verdict::Judge(_) => three_of(&interesting),
                // The upper half is never looked at.
                _ => interesting.iter().map(|value| [value | 0xdead_beef_0000_0000; 6]).collect(),
            };
            for arguments in arguments {
                let said = run(&program, ARCHITECTURE, number, arguments);
                assert_eq!(said, expected(verdict.with(arguments)), "call {number} with {arguments:x?}");
            }
            assert_eq!(run(&program, 0x4000_0003, number, [0; 6]), KILL, "32-bit calls have other numbers");
        }
    }
}
