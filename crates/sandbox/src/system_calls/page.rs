//! The reference page, `docs/reference/system-calls.md`, made from the list.

use super::{ABSENT, ALLOWED, Call, Condition, Group, JUDGED, Judged, Named, REFUSED, Rule, Test};
use std::fmt::Write;

const HEAD: &str = "# System calls

What an app may ask of the kernel, on x86-64. This page is made from `crates/sandbox/src/system_calls/list.rs`, the one list from
which the filter of every process is made as well; `cargo test -p sandbox --test sandbox hostile` calls every number inside a sandbox
and compares.

| Answer | Of what |
|---|---|
| allowed | what ordinary programs, language runtimes and databases call without privilege |
| `EPERM` | what changes the machine, reaches other processes or widens the kernel's surface: programs know that it may fail |
| `ENOSYS` | what nothing needs, what programs have another way for, and everything that is not on this page, calls that do not exist yet included: programs take the kernel for an older one |

Calls of another architecture or of 32 bits (`int 0x80`) end the process with SIGSYS. Those of the x32 table are answered with `ENOSYS`.
Beside this filter a process has no capability and can gain none: much of what is allowed here is refused by the kernel itself.
";

/// The whole page.
pub fn render() -> String {
    let mut page = HEAD.to_owned();
    section(&mut page, "Allowed", ALLOWED);
    page.push_str("\n## Allowed with some arguments\n\nOtherwise `EPERM`.\n");
    JUDGED.iter().for_each(|judged| describe(&mut page, judged));
    section(&mut page, "Refused (`EPERM`)", REFUSED);
    section(&mut page, "Absent (`ENOSYS`)", ABSENT);
    page
}

fn section(page: &mut String, title: &str, groups: &[Group]) {
    let _ = write!(page, "\n## {title}\n");
    for group in groups {
        let mut names: Vec<&str> = group.all().map(call_name).collect();
        names.sort_unstable();
        let _ = write!(page, "\n**{}.** {}\n\n{}\n", group.title, group.why, code(names));
    }
}

fn describe(page: &mut String, judged: &Judged) {
    let rules: Vec<String> = judged.rules.iter().map(rule).collect();
    let _ = write!(page, "\n**`{}`.** {}\n\n- {}\n", call_name(&judged.call), judged.why, rules.join("\n- "));
}

fn rule(conditions: &Rule) -> String {
    conditions.iter().map(condition).collect::<Vec<_>>().join(", and ")
}

fn condition(condition: &Condition) -> String {
    let argument = condition.argument + 1;
    match condition.test {
        Test::OneOf(values) => format!("argument {argument} is {}", alternatives(values)),
        Test::NoneOf(values) => format!("argument {argument} is not {}", alternatives(values)),
        Test::HasNoBit(bits) => format!("argument {argument} has none of {}", code(named(bits))),
        Test::MaskedOneOf(mask, values) => {
            format!("argument {argument}, of its bits {mask:#x}, is {}", alternatives(values))
        }
    }
}

fn alternatives(values: &[Named]) -> String {
    named(values).into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
}

fn named(values: &[Named]) -> Vec<&'static str> {
    values.iter().map(|(name, _)| *name).collect()
}

fn code(names: Vec<&str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// As the kernel calls it: the list has the names of constants.
pub fn call_name(call: &Call) -> &'static str {
    call.0.rsplit_once("SYS_").map_or(call.0, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_reference_page_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/system-calls.md");
        if std::env::var_os("DOZEN_WRITE_DOCS").is_some() {
            std::fs::write(path, super::render()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(written, super::render(), "run the tests once with DOZEN_WRITE_DOCS=1");
    }
}
