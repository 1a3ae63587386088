//! Lock files that list packages with what each needs, but not which of them an app runs on: a walk from the app's own needs finds
//! them, and under which environment markers each one is wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::rc::Rc;

/// Conditions kept for one package; with more it counts as wanted always.
const MOST_CONDITIONS: usize = 8;
/// Longest condition that is kept, in bytes; what is wanted under a longer one counts as wanted always.
const LONGEST_CONDITION: usize = 4 * 1024;
/// Steps of one walk. Real locks need some thousands.
pub(super) const MOST_STEPS: usize = 200_000;
/// Bytes of all conditions of one walk, and of what is rendered by it. Real locks need some hundred thousands.
const MOST_BYTES: usize = 32 * 1024 * 1024;

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
type Wanted = BTreeMap<usize, BTreeSet<Rc<str>>>;

/// A requirements file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) text: String,
    /// Which packages of the lock it lists, by their place there.
    pub(super) used: BTreeSet<usize>,
}

/// A requirements file of all packages that are wanted.
pub(super) fn render(packages: &[Package], roots: &[Need]) -> Result<Listed, GraphError> {
    let mut listed = Listed::default();
    for (index, conditions) in walk(packages, roots)? {
        let package = &packages[index];
        let any =
            conditions.iter().map(|condition| format!("({condition})")).collect::<Vec<_>>().join(" or ");
        let marker = (!any.is_empty()).then_some(any);
        write_requirement(
            &mut listed.text,
            &package.name,
            &package.version,
            marker.as_deref(),
            &package.hashes,
        );
        if listed.text.len() > MOST_BYTES {
            return Err(GraphError::TooLarge);
        }
        listed.used.insert(index);
    }
    Ok(listed)
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
    let places = packages.iter().enumerate();
    let places = places.map(|(index, package)| (&*package.name, &*package.version, index)).collect();
    let mut walk = Walk { packages, places, ..Walk::default() };
    walk.look_at(roots, None)?;
    while let Some((need, under)) = walk.ahead.pop() {
        walk.step(need, under)?;
    }
    Ok(walk.wanted)
}

/// A walk under way. It belongs to a stranger's lock, so that everything it does is counted before it is done.
#[derive(Default)]
struct Walk<'a> {
    packages: &'a [Package],
    /// Name, version, and place in the lock.
    places: BTreeSet<(&'a str, &'a str, usize)>,
    wanted: Wanted,
    seen: BTreeSet<(usize, &'a str, Option<Rc<str>>)>,
    ahead: Vec<(&'a Need, Option<Rc<str>>)>,
    steps: usize,
    bytes: usize,
}

impl<'a> Walk<'a> {
    /// Puts needs on the way.
    fn look_at(&mut self, needs: &'a [Need], under: Option<&Rc<str>>) -> Result<(), GraphError> {
        self.spend(needs.len())?;
        self.ahead.extend(needs.iter().map(|need| (need, under.cloned())));
        Ok(())
    }

    fn spend(&mut self, steps: usize) -> Result<(), GraphError> {
        self.steps += steps;
        if self.steps > MOST_STEPS { Err(GraphError::TooLarge) } else { Ok(()) }
    }

    fn step(&mut self, need: &'a Need, under: Option<Rc<str>>) -> Result<(), GraphError> {
        let index = self.find(need)?;
        let condition = self.both(under, need.marker.as_deref())?;
        let condition = note(&mut self.wanted, index, condition);
        let package = &self.packages[index];
        self.spend(need.extras.len())?;
        for extra in std::iter::once("").chain(need.extras.iter().map(String::as_str)) {
            if self.seen.insert((index, extra, condition.clone())) {
                let needs = if extra.is_empty() { Some(&package.needs) } else { package.extras.get(extra) };
                self.look_at(needs.map_or(&[], Vec::as_slice), condition.as_ref())?;
            }
        }
        Ok(())
    }

    fn find(&self, need: &Need) -> Result<usize, GraphError> {
        let (name, version) = (need.name.as_str(), need.version.as_deref());
        let fits = |of: &(&str, &str, usize)| of.0 == name && version.is_none_or(|version| of.1 == version);
        let mut found = self.places.range((name, version.unwrap_or_default(), 0)..).take_while(|of| fits(of));
        match (found.next(), found.next()) {
            (Some((_, _, index)), None) => Ok(*index),
            (None, _) => Err(GraphError::Absent(need.name.clone())),
            (Some(_), Some(_)) => Err(GraphError::Several(need.name.clone())),
        }
    }

    /// The condition under which a package is wanted by one that is itself wanted under a condition.
    fn both(&mut self, under: Option<Rc<str>>, marker: Option<&str>) -> Result<Option<Rc<str>>, GraphError> {
        let length = under.as_ref().map_or(0, |under| under.len()) + marker.map_or(0, str::len);
        if length > LONGEST_CONDITION {
            return Ok(None);
        }
        let both: Rc<str> = match (under, marker) {
            (under, None) => return Ok(under),
            (None, Some(marker)) => Rc::from(marker),
            (Some(under), Some(marker)) if *under == *marker => return Ok(Some(under)),
            (Some(under), Some(marker)) => Rc::from(format!("({under}) and ({marker})")),
        };
        self.bytes += both.len();
        if self.bytes > MOST_BYTES { Err(GraphError::TooLarge) } else { Ok(Some(both)) }
    }
}

/// Takes note of a condition. Returns the one under which what the package needs is looked at.
fn note(wanted: &mut Wanted, index: usize, condition: Option<Rc<str>>) -> Option<Rc<str>> {
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
        let listed = render(&packages, &[need("web[async]"), need("late;a")]).expect("walks");
        assert_eq!(listed.used, BTreeSet::from([0, 2, 3, 4, 5, 6]));
        let expected = "core==1 --hash=sha256:core\n\
            web==1 --hash=sha256:web\n\
            loop==1 --hash=sha256:loop\n\
            late==1 ; (a) or (py < '3') --hash=sha256:late\n\
            win==1 ; (os == 'nt') --hash=sha256:win\n\
            deep==1 ; ((os == 'nt') and (x)) --hash=sha256:deep\n";
        assert_eq!(listed.text, expected);
    }

    #[test]
    fn what_is_unclear_is_refused() {
        let twice = [package("a", &[]), Package { version: "2".to_owned(), ..package("a", &[]) }];
        assert_eq!(render(&twice, &[need("a")]), Err(GraphError::Several("a".to_owned())));
        let exact = Need { version: Some("2".to_owned()), ..need("a") };
        assert_eq!(render(&twice, &[exact]).expect("walks").text, "a==2 --hash=sha256:a\n");
        assert_eq!(render(&[], &[need("b")]), Err(GraphError::Absent("b".to_owned())));
    }

    /// Packages p0, p1, ... without needs of their own.
    fn many(count: usize) -> Vec<Package> {
        (0..count).map(|number| package(&format!("p{number}"), &[])).collect()
    }

    fn needing(name: &str, needs: Vec<Need>) -> Package {
        Package { needs, ..package(name, &[]) }
    }

    #[test]
    fn a_condition_beyond_its_limit_counts_as_always_and_is_not_handed_down() {
        let long = "x".repeat(LONGEST_CONDITION + 1);
        let all = || (0..1000).map(|number| need(&format!("p{number}"))).collect();
        let packages: Vec<Package> = many(1000).into_iter().chain([needing("top", all())]).collect();
        let text = render(&packages, &[need(&format!("top;{long}"))]).expect("walks").text;
        assert!(text.starts_with("p0==1 --hash=sha256:p0\n") && !text.contains('x'), "{text}");
        let half = "y".repeat(LONGEST_CONDITION / 2 + 1);
        let other = "z".repeat(LONGEST_CONDITION / 2 + 1);
        let packages = [needing("top", vec![need(&format!("deep;{other}"))]), package("deep", &[])];
        let text = render(&packages, &[need(&format!("top;{half}"))]).expect("walks").text;
        assert!(text.contains(&format!("top==1 ; ({half})")) && text.contains("deep==1 --hash"), "{text}");
    }

    #[test]
    fn what_would_take_too_much_is_refused_before_it_is_made() {
        // One package needs others, each under a condition nearly as long as may be: as many bytes as both together.
        let long = "x".repeat(LONGEST_CONDITION - 10);
        let count = 2 * MOST_BYTES / LONGEST_CONDITION;
        let all = (0..count).map(|number| need(&format!("p{number};y{number}"))).collect();
        let packages: Vec<Package> = many(count).into_iter().chain([needing("top", all)]).collect();
        assert_eq!(render(&packages, &[need(&format!("top;{long}"))]), Err(GraphError::TooLarge));
        // The same one long condition for all of them costs nothing until it is written out.
        let all = (0..count).map(|number| need(&format!("p{number}"))).collect();
        let packages: Vec<Package> = many(count).into_iter().chain([needing("top", all)]).collect();
        assert_eq!(render(&packages, &[need(&format!("top;{long}"))]), Err(GraphError::TooLarge));
        let needs = vec![need("p0"); MOST_STEPS];
        assert_eq!(render(&many(1), &needs).expect("as many as may be").used, BTreeSet::from([0]));
        let needs = vec![need("p0"); MOST_STEPS + 1];
        assert_eq!(render(&many(1), &needs), Err(GraphError::TooLarge));
        let extras = Need { extras: vec![String::new(); MOST_STEPS], ..need("p0") };
        assert_eq!(render(&many(1), &[extras]), Err(GraphError::TooLarge));
    }
}
