//! Lock files that list packages with what each needs, but not which of them an app runs on: a walk from the app's own needs finds
//! them, and under which environment markers each one is wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Conditions kept for one package; with more it counts as wanted always.
const MOST_CONDITIONS: usize = 8;
/// Steps of one walk. Real locks need some thousands.
const MOST_STEPS: usize = 200_000;

/// A locked package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Package {
    /// Normalised.
    pub(super) name: String,
    pub(super) version: String,
    /// `sha256:...`
    pub(super) hashes: Vec<String>,
    pub(super) needs: Vec<Need>,
    pub(super) extras: BTreeMap<String, Vec<Need>>,
}

/// One package needs another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Need {
    pub(super) name: String,
    /// Where the lock holds several versions.
    pub(super) version: Option<String>,
    pub(super) marker: Option<String>,
    pub(super) extras: Vec<String>,
}

/// Why the walk cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    #[error("\"{0}\" is needed and not locked")]
    Absent(String),
    #[error("\"{0}\" is locked in several versions, and it does not say which one is meant")]
    Several(String),
    #[error("it is too entangled")]
    TooLarge,
}

/// Conditions under which a package is wanted; an empty set of an entry that is there: always.
type Wanted = BTreeMap<usize, BTreeSet<String>>;

/// A requirements file of all packages that are wanted.
pub(super) fn render(packages: &[Package], roots: &[Need]) -> Result<String, GraphError> {
    let mut text = String::new();
    for (index, conditions) in walk(packages, roots)? {
        let package = &packages[index];
        let any =
            conditions.iter().map(|condition| format!("({condition})")).collect::<Vec<_>>().join(" or ");
        let marker = (!any.is_empty()).then_some(any);
        write_requirement(&mut text, &package.name, &package.version, marker.as_deref(), &package.hashes);
    }
    Ok(text)
}

/// One line as pip reads it.
pub(super) fn write_requirement(
    text: &mut String,
    name: &str,
    version: &str,
    marker: Option<&str>,
    hashes: &[String],
) {
    let _ = write!(text, "{name}=={version}");
    if let Some(marker) = marker {
        let _ = write!(text, " ; {marker}");
    }
    for hash in hashes {
        let _ = write!(text, " --hash={hash}");
    }
    text.push('\n');
}

fn walk(packages: &[Package], roots: &[Need]) -> Result<Wanted, GraphError> {
    let mut wanted = Wanted::new();
    let mut seen: BTreeSet<(usize, String, Option<String>)> = BTreeSet::new();
    let mut ahead: Vec<(Need, Option<String>)> = roots.iter().map(|need| (need.clone(), None)).collect();
    for _ in 0..MOST_STEPS {
        let Some((need, under)) = ahead.pop() else { return Ok(wanted) };
        let index = find(packages, &need)?;
        let condition = both(under.as_deref(), need.marker.as_deref());
        let condition = note(&mut wanted, index, condition);
        let package = &packages[index];
        let plain = std::iter::once(String::new());
        for extra in plain.chain(need.extras.iter().cloned()) {
            if seen.insert((index, extra.clone(), condition.clone())) {
                let needs = if extra.is_empty() { Some(&package.needs) } else { package.extras.get(&extra) };
                ahead.extend(needs.into_iter().flatten().map(|need| (need.clone(), condition.clone())));
            }
        }
    }
    Err(GraphError::TooLarge)
}

fn find(packages: &[Package], need: &Need) -> Result<usize, GraphError> {
    let fits = |package: &Package| {
        package.name == need.name && need.version.as_ref().is_none_or(|version| *version == package.version)
    };
    let mut found = packages.iter().enumerate().filter(|(_, package)| fits(package));
    match (found.next(), found.next()) {
        (Some((index, _)), None) => Ok(index),
        (None, _) => Err(GraphError::Absent(need.name.clone())),
        (Some(_), Some(_)) => Err(GraphError::Several(need.name.clone())),
    }
}

fn both(first: Option<&str>, second: Option<&str>) -> Option<String> {
    match (first, second) {
        (None, None) => None,
        (Some(one), None) | (None, Some(one)) => Some(one.to_owned()),
        (Some(first), Some(second)) if first == second => Some(first.to_owned()),
        (Some(first), Some(second)) => Some(format!("({first}) and ({second})")),
    }
}

/// Takes note of a condition. Returns the one under which what the package needs is looked at.
fn note(wanted: &mut Wanted, index: usize, condition: Option<String>) -> Option<String> {
    let known = wanted.get(&index);
    let is_always = known.is_some_and(BTreeSet::is_empty);
    let is_full = known.is_some_and(|known| known.len() >= MOST_CONDITIONS);
    match condition {
        Some(condition) if !is_always && !is_full => {
            wanted.entry(index).or_default().insert(condition.clone());
            Some(condition)
        }
        Some(_) | None => {
            wanted.insert(index, BTreeSet::new());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(text: &str) -> Need {
        let (name, marker) =
            text.split_once(';').map_or((text, None), |(name, m)| (name, Some(m.to_owned())));
        let (name, extras) = name
            .split_once('[')
            .map_or((name, Vec::new()), |(name, extra)| (name, vec![extra.trim_end_matches(']').to_owned()]));
        Need { name: name.to_owned(), version: None, marker, extras }
    }

    fn package(name: &str, needs: &[&str]) -> Package {
        Package {
            name: name.to_owned(),
            version: "1".to_owned(),
            hashes: vec![format!("sha256:{name}")],
            needs: needs.iter().map(|text| need(text)).collect(),
            extras: BTreeMap::new(),
        }
    }

    #[test]
    fn only_what_is_reached_is_wanted_and_under_its_conditions() {
        let mut extra = package("web", &["core"]);
        extra.extras.insert("async".to_owned(), vec![need("loop")]);
        let packages = [
            package("core", &["win;os == 'nt'", "core"]),
            package("dev", &[]),
            extra,
            package("loop", &["win;os == 'nt'", "late;py < '3'"]),
            package("late", &[]),
            package("win", &["deep;x"]),
            package("deep", &[]),
        ];
        let text = render(&packages, &[need("web[async]"), need("late;a")]).expect("walks");
        let expected = "core==1 --hash=sha256:core\n\
            web==1 --hash=sha256:web\n\
            loop==1 --hash=sha256:loop\n\
            late==1 ; (a) or (py < '3') --hash=sha256:late\n\
            win==1 ; (os == 'nt') --hash=sha256:win\n\
            deep==1 ; ((os == 'nt') and (x)) --hash=sha256:deep\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_is_unclear_is_refused() {
        let twice = [package("a", &[]), Package { version: "2".to_owned(), ..package("a", &[]) }];
        assert_eq!(render(&twice, &[need("a")]), Err(GraphError::Several("a".to_owned())));
        let exact = Need { version: Some("2".to_owned()), ..need("a") };
        assert_eq!(render(&twice, &[exact]).expect("walks"), "a==2 --hash=sha256:a\n");
        assert_eq!(render(&[], &[need("b")]), Err(GraphError::Absent("b".to_owned())));
    }
}
