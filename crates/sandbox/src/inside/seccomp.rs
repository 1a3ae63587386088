//! The filter of system calls, made from the one table in [`super::syscalls`].
//!
//! Two filters are stacked; the kernel obeys the stricter answer, and of two refusals the one installed last. The first knows
//! what is allowed and answers "no such call" to the rest, so that programs fall back as on an older kernel. The second
//! answers "not permitted" to what is refused on purpose.

use super::InsideError;
use super::syscalls::{self, Argument, Rule, Test};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: TargetArch = TargetArch::aarch64;

/// Installs both filters for this process and all that come from it. Needs `no_new_privs`.
pub fn apply() -> Result<(), InsideError> {
    for program in programs()? {
        seccompiler::apply_filter(&program).map_err(InsideError::at("install the filter of system calls"))?;
    }
    Ok(())
}

fn programs() -> Result<[BpfProgram; 2], InsideError> {
    let allowed = compile(
        syscalls::allowed(),
        SeccompAction::Errno(libc::ENOSYS.unsigned_abs()),
        SeccompAction::Allow,
    )?;
    let refused = compile(
        syscalls::refused(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM.unsigned_abs()),
    )?;
    Ok([allowed, refused])
}

fn compile(rules: Vec<Rule>, otherwise: SeccompAction, matched: SeccompAction) -> Result<BpfProgram, InsideError> {
    let mut map: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for rule in rules {
        let alternatives = map.entry(rule.call).or_default();
        for tests in rule.alternatives {
            alternatives.push(convert(&tests)?);
        }
    }
    SeccompFilter::new(map, otherwise, matched, ARCHITECTURE)
        .and_then(BpfProgram::try_from)
        .map_err(InsideError::at("compile the filter of system calls"))
}

fn convert(tests: &[Argument]) -> Result<SeccompRule, InsideError> {
    let conditions = tests.iter().map(|argument| {
        let (operator, value) = match argument.test {
            Test::Is(value) => (SeccompCmpOp::Eq, value),
            Test::IsNot(value) => (SeccompCmpOp::Ne, value),
            Test::HasBit(bit) => (SeccompCmpOp::MaskedEq(bit), bit),
            Test::HasNoBitOf(mask) => (SeccompCmpOp::MaskedEq(mask), 0),
        };
        SeccompCondition::new(argument.index, SeccompCmpArgLen::Dword, operator, value)
    });
    conditions
        .collect::<Result<Vec<_>, _>>()
        .and_then(SeccompRule::new)
        .map_err(InsideError::at("express a rule for a system call"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_filters_compile_and_fit_the_kernel() {
        for program in programs().map_err(|error| error.to_string()).unwrap() {
            assert!(!program.is_empty() && program.len() <= 4096, "{}", program.len());
        }
    }
}
