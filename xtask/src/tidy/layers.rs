//! Arrows between crates point downwards only, and within layer 1 only where the design says so.

use super::{Finding, Source};

/// Crates by layer. Dev-dependencies do not count: a test may look from above.
const LAYERS: &[(&str, u8)] = &[
    ("domain", 0),
    ("engine", 1),
    ("sandbox", 1),
    ("store", 1),
    ("blobs", 1),
    ("journal", 1),
    ("api", 1),
    ("outbound", 1),
    ("host", 2),
    ("kube", 2),
    ("builder", 2),
    ("addons", 2),
    ("logs", 2),
    ("server", 3),
    ("router", 3),
    ("check", 3),
    ("contract", 3),
    ("cli", 4),
    ("sim", 4),
];

/// All arrows within one layer.
const SIDEWAYS: &[(&str, &str)] = &[
    ("engine", "store"),
    ("engine", "sandbox"),
    ("engine", "blobs"),
    ("engine", "journal"),
    ("sandbox", "journal"),
];

/// Narrower than the layers: who may depend on nothing but these.
const ONLY: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("journal", &["domain"]),
    ("router", &["domain", "journal"]),
    ("sim", &["domain"]),
    // What it knows of a platform is what anybody can ask it.
    ("contract", &["domain", "api"]),
    ("server", &["domain", "engine", "api"]),
];

/// Used by nobody but these.
const USED_BY: &[(&str, &[&str])] =
    &[("store", &["engine", "cli"]), ("blobs", &["engine", "builder", "host", "cli"])];

pub fn check(sources: &[Source]) -> Vec<Finding> {
    let manifests = sources.iter().filter_map(|source| Some((manifest_of(&source.path)?, source)));
    manifests.flat_map(|(name, source)| check_crate(name, source)).collect()
}

fn manifest_of(path: &str) -> Option<&str> {
    path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml").filter(|name| !name.contains('/'))
}

fn check_crate(name: &str, source: &Source) -> Vec<Finding> {
    let finding = |what: String| Finding { place: source.path.clone(), what };
    let Some(from) = layer(name) else {
        return vec![finding(format!("{name} has no layer; add it to the table in tidy"))];
    };
    let arrows = dependencies(&source.text);
    let known = arrows.iter().filter_map(|to| layer(to).map(|layer| (*to, layer)));
    known
        .filter(|(to, to_layer)| !is_allowed(name, from, to, *to_layer))
        .map(|(to, _)| finding(format!("{name} must not depend on {to}")))
        .collect()
}

fn is_allowed(from: &str, from_layer: u8, to: &str, to_layer: u8) -> bool {
    let only = ONLY.iter().find(|(name, _)| *name == from).is_none_or(|(_, allowed)| allowed.contains(&to));
    let used = USED_BY.iter().find(|(name, _)| *name == to).is_none_or(|(_, users)| users.contains(&from));
    let down = to_layer < from_layer || SIDEWAYS.contains(&(from, to));
    only && used && down
}

fn layer(name: &str) -> Option<u8> {
    LAYERS.iter().find(|(known, _)| *known == name).map(|(_, layer)| *layer)
}

/// The names in `[dependencies]` and `[target.*.dependencies]`.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            inside = section.trim_end_matches(']').ends_with("dependencies") && !section.contains("dev-");
        } else if inside && !line.starts_with('#') {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            names.extend((!name.is_empty()).then_some(name));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(name: &str, manifest: &str) -> usize {
        let source = Source { path: format!("crates/{name}/Cargo.toml"), text: manifest.to_owned() };
        check(&[source]).len()
    }

    #[test]
    fn arrows_point_downwards() {
        assert_eq!(
            findings("engine", "[dependencies]\nstore.workspace = true\ndomain.workspace = true\n"),
            0
        );
        assert_eq!(findings("store", "[dependencies]\nengine.workspace = true\n"), 1);
        assert_eq!(findings("host", "[dependencies]\nstore.workspace = true\n"), 1);
        assert_eq!(findings("router", "[dependencies]\nengine.workspace = true\n"), 1);
        assert_eq!(findings("router", "[dev-dependencies]\nengine.workspace = true\n"), 0);
        assert_eq!(findings("unheard-of", "[dependencies]\n"), 1);
    }
}
