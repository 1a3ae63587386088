//! What `dozen doctor` says of the units. What is judged is pure; [`checks`] asks systemd, which any user may.

use crate::daemons::install::units;
use crate::daemons::settings::Supervisor;
use api::dozen::doctor::{Check, Outcome};
use std::path::Path;
use std::process::Command;

const PROPERTIES: &str = "--property=Id,ActiveState,SubState,UnitFileState,NRestarts,NeedDaemonReload";
/// A daemon that had to be started again more often than this is worth a word.
const FEW_RESTARTS: u64 = 3;

/// None on a machine that systemd does not run.
pub fn checks(supervisor: Supervisor) -> Vec<Check> {
    if !Path::new("/run/systemd/system").is_dir() {
        return Vec::new();
    }
    match supervisor {
        Supervisor::Launcher => vec![check(
            "units",
            Outcome::Warning,
            "Dozen was started by hand and does not come back after a reboot",
            Some("Make it a service of this machine: sudo dozen install"),
        )],
        Supervisor::Systemd => {
            let shown = Command::new("systemctl").arg("show").arg(PROPERTIES).args(units::ALL).output();
            let text = shown.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            judge(&text.unwrap_or_default())
        }
    }
}

/// Blocks of properties with an empty line between, one for each unit.
fn judge(shown: &str) -> Vec<Check> {
    let blocks: Vec<&str> = shown.split("\n\n").filter(|block| !block.trim().is_empty()).collect();
    if blocks.is_empty() {
        return vec![check("units", Outcome::Warning, "systemd does not answer", None)];
    }
    let remarks: Vec<Check> = blocks.iter().filter_map(|block| judge_unit(block)).collect();
    if !remarks.is_empty() {
        return remarks;
    }
    let detail = format!("{} units are active and start with the machine", blocks.len());
    vec![check("units", Outcome::Ok, &detail, None)]
}

/// What is wrong with a unit, the worst first.
fn judge_unit(block: &str) -> Option<Check> {
    let property = |name: &str| {
        block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
    };
    let name = property("Id");
    let restarts: u64 = property("NRestarts").parse().unwrap_or(0);
    let log = format!("journalctl -u {name} -e");
    if property("ActiveState") != "active" {
        let detail = format!("{} ({})", property("ActiveState"), property("SubState"));
        return Some(check(name, Outcome::Failure, &detail, Some(&format!("Its log tells why: {log}"))));
    }
    if property("UnitFileState") != "enabled" {
        let hint = format!("systemctl enable {name}");
        return Some(check(name, Outcome::Warning, "does not start with the machine", Some(&hint)));
    }
    if property("NeedDaemonReload") == "yes" {
        let hint = "sudo dozen install, which restarts what has changed";
        return Some(check(name, Outcome::Warning, "its file has changed since it was started", Some(hint)));
    }
    if restarts > FEW_RESTARTS {
        let detail = format!("was started again {restarts} times after it ended by itself");
        return Some(check(name, Outcome::Warning, &detail, Some(&format!("Its log tells why: {log}"))));
    }
    None
}

fn check(name: &str, outcome: Outcome, detail: &str, hint: Option<&str>) -> Check {
    Check {
        area: "systemd".to_owned(),
        name: name.to_owned(),
        outcome,
        detail: detail.to_owned(),
        hint: hint.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(name: &str, active: &str, file: &str, restarts: u32, reload: &str) -> String {
        format!(
            "NRestarts={restarts}\nId={name}\nActiveState={active}\nSubState=x\nUnitFileState={file}\nNeedDaemonReload={reload}\n"
        )
    }

    #[test]
    fn units_are_judged_each() {
        let well = block("dozen-server.service", "active", "enabled", 3, "no");
        let told = |blocks: &[String]| {
            let checks = judge(&blocks.join("\n"));
            let line = |check: &Check| format!("{:?} {}: {}", check.outcome, check.name, check.detail);
            checks.iter().map(line).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(told(&[]), "Warning units: systemd does not answer");
        assert_eq!(
            told(&[well.clone(), well.clone()]),
            "Ok units: 2 units are active and start with the machine"
        );
        let ill = [
            well,
            block("a.service", "failed", "enabled", 0, "no"),
            block("b.service", "active", "disabled", 0, "no"),
            block("c.service", "active", "enabled", 0, "yes"),
            block("d.service", "active", "enabled", 9, "no"),
        ];
        insta::assert_snapshot!(told(&ill), @r"
        Failure a.service: failed (x)
        Warning b.service: does not start with the machine
        Warning c.service: its file has changed since it was started
        Warning d.service: was started again 9 times after it ended by itself
        ");
    }
}
