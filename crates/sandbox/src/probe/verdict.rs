//! Whether what was found is enough to start apps. Pure.

use super::layer::{Layer, LayerSet};
use super::report::{Privilege, ProbeReport, Requirement, State, is_excusable, requirement};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A wall that is missing while apps run all the same: told in `doctor`, in `ps` and at every start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weakness {
    pub layer: Layer,
    pub cause: WeaknessCause,
    pub why: String,
    pub consequence: String,
}

/// Why apps run without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeaknessCause {
    /// The operator named it in `DOZEN_ALLOW_WEAKER`.
    AllowedByOperator,
    /// Dozen runs as an ordinary user, who cannot have it.
    OrdinaryUser,
}

/// Why no app may start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct Refusal {
    pub missing: Vec<RefusedLayer>,
}

/// A required layer that is missing and was not excused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedLayer {
    pub layer: Layer,
    pub why: String,
    pub fix: String,
    /// Whether `DOZEN_ALLOW_WEAKER` could let apps start without it.
    pub excusable: bool,
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = match self.cause {
            WeaknessCause::AllowedByOperator => "allowed by DOZEN_ALLOW_WEAKER",
            WeaknessCause::OrdinaryUser => "Dozen runs as an ordinary user",
        };
        write!(f, "no {} ({cause}; {}): {}", self.layer, self.why, self.consequence)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no app can be started, for the sandbox would lack required layers:")?;
        for missing in &self.missing {
            write!(f, "\n  {}: {}. To mend it: {}", missing.layer, missing.why, missing.fix)?;
        }
        let names = |excusable: bool| -> LayerSet {
            let chosen = self.missing.iter().filter(|missing| missing.excusable == excusable);
            chosen.map(|missing| missing.layer).collect()
        };
        if names(false).is_empty() {
            return write!(
                f,
                "\nTo start apps with a weaker sandbox all the same, set DOZEN_ALLOW_WEAKER={}",
                names(true)
            );
        }
        write!(f, "\nNo setting excuses the absence of {}: without it there is no sandbox", names(false))
    }
}

/// Judges a report. `Ok` lists what is missing and was excused.
pub fn verdict(report: &ProbeReport, allow_weaker: &LayerSet) -> Result<Vec<Weakness>, Refusal> {
    let mut weaknesses = Vec::new();
    let mut missing = Vec::new();
    for (layer, why, fix) in shortfalls(report) {
        let excusable = is_excusable(layer, report.privilege);
        if excusable && allow_weaker.contains(layer) {
            weaknesses.push(weakness(layer, WeaknessCause::AllowedByOperator, why));
        } else {
            missing.push(RefusedLayer { layer, why: why.to_owned(), fix: fix.to_owned(), excusable });
        }
    }
    if !missing.is_empty() {
        return Err(Refusal { missing });
    }
    if report.privilege == Privilege::OrdinaryUser {
        weaknesses.extend(of_an_ordinary_user(report));
    }
    Ok(weaknesses)
}

/// What root's form has and this one has not. Limits count as well: an ordinary user has control groups only where somebody
/// delegated one.
fn of_an_ordinary_user(report: &ProbeReport) -> Vec<Weakness> {
    let always = [
        (Layer::UidSwitch, "an own user id per app needs root"),
        (Layer::NetworkNamespace, "an own network per app needs root"),
    ];
    let limits = [Layer::CgroupMemory, Layer::CgroupCpu, Layer::CgroupPids];
    let missing = limits.into_iter().filter_map(|layer| match report.state(layer) {
        Some(State::Missing { why, .. }) => Some((layer, why.as_str())),
        Some(State::Present { .. }) | None => None,
    });
    let all = always.into_iter().chain(missing);
    all.map(|(layer, why)| weakness(layer, WeaknessCause::OrdinaryUser, why)).collect()
}

fn weakness(layer: Layer, cause: WeaknessCause, why: &str) -> Weakness {
    Weakness { layer, cause, why: why.to_owned(), consequence: layer.consequence_of_absence().to_owned() }
}

/// Missing layers that count, each with its reason and remedy. A layer that the report does not mention is missing.
fn shortfalls(report: &ProbeReport) -> Vec<(Layer, &str, &str)> {
    Layer::ALL
        .into_iter()
        .filter(|layer| match requirement(*layer, report.privilege) {
            Requirement::Required => true,
            Requirement::Optional => false,
        })
        .filter_map(|layer| match report.state(layer) {
            Some(State::Present { .. }) => None,
            Some(State::Missing { why, fix }) => Some((layer, why.as_str(), fix.as_str())),
            None => {
                Some((layer, "the probe did not look for it", "run launcher and probe of the same version"))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::report::{FORMAT, LayerReport};
    use super::*;
    use proptest::prelude::*;

    /// A report in which only these layers are missing.
    fn report(privilege: Privilege, missing: &[Layer]) -> ProbeReport {
        let state = |layer| {
            if missing.contains(&layer) {
                State::Missing { why: format!("{layer} is off"), fix: format!("turn {layer} on") }
            } else {
                State::Present { detail: String::new() }
            }
        };
        let entry =
            |layer| LayerReport { layer, requirement: requirement(layer, privilege), state: state(layer) };
        let layers = Layer::ALL.into_iter().map(entry).collect();
        ProbeReport { format: FORMAT, privilege, kernel: "6.1.0".to_owned(), layers }
    }

    fn set(layers: &[Layer]) -> LayerSet {
        layers.iter().copied().collect()
    }

    #[test]
    fn judges() {
        use Layer::*;
        use Privilege::*;
        // privilege, missing, allowed, then: weaknesses, or refused layers
        type Case<'a> = (Privilege, &'a [Layer], &'a [Layer], Result<&'a [Layer], &'a [Layer]>);
        let cases: &[Case<'_>] = &[
            (Root, &[], &[], Ok(&[])),
            (Root, &[], &[Seccomp], Ok(&[])),
            (Root, &[Seccomp], &[], Err(&[Seccomp])),
            (Root, &[Seccomp], &[Seccomp], Ok(&[Seccomp])),
            (Root, &[Seccomp, NoNewPrivs], &[Seccomp], Err(&[NoNewPrivs])),
            (Root, &[PidNamespace], &[PidNamespace], Err(&[PidNamespace])),
            (Root, &[Seccomp], &[Landlock], Err(&[Seccomp])),
            (Root, &[Landlock, CgroupMemory, IdmappedMounts], &[], Ok(&[])),
            (Root, &[UserNamespace], &[], Ok(&[])),
            (Root, &[UidSwitch], &[], Err(&[UidSwitch])),
            (Root, &[UidSwitch, UserNamespace], &[UidSwitch], Err(&[UidSwitch])),
            (Root, &[NetworkNamespace, Veth], &[], Err(&[NetworkNamespace, Veth])),
            (Root, &[Nftables], &[], Err(&[Nftables])),
            (Root, &[Nftables], &[Nftables], Ok(&[Nftables])),
            (
                OrdinaryUser,
                &[UidSwitch, NetworkNamespace, Veth, Nftables],
                &[],
                Ok(&[UidSwitch, NetworkNamespace]),
            ),
            (
                OrdinaryUser,
                &[UidSwitch, CgroupMemory, CgroupPids],
                &[],
                Ok(&[UidSwitch, NetworkNamespace, CgroupMemory, CgroupPids]),
            ),
            (OrdinaryUser, &[UserNamespace], &[UserNamespace], Err(&[UserNamespace])),
            (OrdinaryUser, &[MountNamespace], &[MountNamespace], Err(&[MountNamespace])),
            (OrdinaryUser, &[Seccomp], &[], Err(&[Seccomp])),
            (OrdinaryUser, &[Seccomp], &[Seccomp], Ok(&[Seccomp, UidSwitch, NetworkNamespace])),
        ];
        for (privilege, missing, allowed, expected) in cases {
            let got = verdict(&report(*privilege, missing), &set(allowed));
            let got = got
                .map(|weak| weak.iter().map(|weakness| weakness.layer).collect::<Vec<_>>())
                .map_err(|refusal| refusal.missing.iter().map(|refused| refused.layer).collect::<Vec<_>>());
            assert_eq!(
                got,
                expected.map(<[_]>::to_vec).map_err(<[_]>::to_vec),
                "{privilege:?} {missing:?} {allowed:?}"
            );
        }
    }

    #[test]
    fn a_refusal_names_layers_reasons_and_remedies() {
        let refusal =
            verdict(&report(Privilege::Root, &[Layer::Seccomp, Layer::NoNewPrivs]), &LayerSet::default());
        let expected = "no app can be started, for the sandbox would lack required layers:\
            \n  no_new_privs: no_new_privs is off. To mend it: turn no_new_privs on\
            \n  seccomp: seccomp is off. To mend it: turn seccomp on\
            \nTo start apps with a weaker sandbox all the same, set DOZEN_ALLOW_WEAKER=no_new_privs,seccomp";
        assert_eq!(refusal.unwrap_err().to_string(), expected);
        let found = report(Privilege::OrdinaryUser, &[Layer::UserNamespace, Layer::Seccomp]);
        let expected = "no app can be started, for the sandbox would lack required layers:\
            \n  user_namespace: user_namespace is off. To mend it: turn user_namespace on\
            \n  seccomp: seccomp is off. To mend it: turn seccomp on\
            \nNo setting excuses the absence of user_namespace: without it there is no sandbox";
        assert_eq!(verdict(&found, &LayerSet::default()).unwrap_err().to_string(), expected);
    }

    #[test]
    fn a_report_without_a_required_layer_is_no_pass() {
        let mut partial = report(Privilege::Root, &[]);
        partial.layers.retain(|entry| entry.layer != Layer::Seccomp);
        let refused = verdict(&partial, &LayerSet::default()).unwrap_err();
        assert_eq!(refused.missing[0].layer, Layer::Seccomp);
    }

    #[test]
    fn a_report_survives_json() {
        let before = report(Privilege::OrdinaryUser, &[Layer::Veth]);
        let text = serde_json::to_string(&before).unwrap();
        assert_eq!(serde_json::from_str::<ProbeReport>(&text).unwrap(), before);
    }

    proptest! {
        #[test]
        fn allowing_more_never_refuses_more(
            missing in proptest::sample::subsequence(Layer::ALL.to_vec(), 0..=19),
            allowed in proptest::sample::subsequence(Layer::ALL.to_vec(), 0..=19),
        ) {
            let found = report(Privilege::Root, &missing);
            let strict = verdict(&found, &LayerSet::default());
            let lenient = verdict(&found, &set(&allowed));
            prop_assert!(strict.is_err() || lenient.is_ok());
            let excused = verdict(&found, &set(&missing));
            prop_assert!(excused.is_ok() || excused.is_err_and(|refusal| !refusal.missing.iter().any(|one| one.excusable)));
        }
    }
}
