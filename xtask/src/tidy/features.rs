//! What tests and the simulator need never gets into the binary that people run.

use super::{Finding, Source};

/// Features that exist for tests, and who alone may turn them on in a manifest.
const GUARDED: &[(&str, &[&str])] =
    &[("test-hooks", &["crates/cli/Cargo.toml"]), ("mutants", &["crates/sim/Cargo.toml"])];

pub fn check(sources: &[Source]) -> Vec<Finding> {
    let manifests = sources.iter().filter(|source| source.path.ends_with("Cargo.toml"));
    manifests.flat_map(check_manifest).collect()
}

fn check_manifest(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut section = "";
    for line in source.text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
            continue;
        }
        for (feature, allowed) in GUARDED {
            let by_default = section == "[features]" && line.starts_with("default") && line.contains(feature);
            let passed_on =
                line.contains(&format!("/{feature}\"")) && !allowed.contains(&source.path.as_str());
            let in_dependency = section.ends_with("dependencies]")
                && !section.contains("dev-")
                && line.contains(&format!("\"{feature}\""));
            if by_default || passed_on || in_dependency {
                let what = format!("the feature {feature} must stay out of what people run");
                findings.push(Finding { place: source.path.clone(), what });
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, manifest: &str) -> usize {
        check(&[Source { path: path.to_owned(), text: manifest.to_owned() }]).len()
    }

    #[test]
    fn test_features_stay_out() {
        assert_eq!(findings("crates/cli/Cargo.toml", "[features]\ntest-hooks = [\"host/test-hooks\"]\n"), 0);
        assert_eq!(findings("crates/cli/Cargo.toml", "[features]\ndefault = [\"test-hooks\"]\n"), 1);
        assert_eq!(findings("crates/host/Cargo.toml", "[features]\nx = [\"router/test-hooks\"]\n"), 1);
        assert_eq!(
            findings("crates/sim/Cargo.toml", "[dependencies]\ndomain = { features = [\"mutants\"] }\n"),
            1
        );
        assert_eq!(findings("crates/sim/Cargo.toml", "[features]\nmutants = [\"domain/mutants\"]\n"), 0);
    }
}
