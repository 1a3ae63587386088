//! The store on a real file system: publishing, reading back, collecting, and what damage does.

use super::*;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn meta(command: &str) -> SlugMeta {
    SlugMeta {
        processes: BTreeMap::from([("web".parse().expect("a type"), command.to_owned())]),
        builder: "static".to_owned(),
        stack: "host".to_owned(),
        runtime: None,
        environment: std::collections::BTreeMap::new(),
        app_json: domain::app_json::AppJson::default(),
    }
}

fn published(store: &SlugStore, content: &str) -> Published {
    let staged = store.stage().expect("staged");
    fs::create_dir(staged.tree_path().join("public")).expect("made");
    fs::write(staged.tree_path().join("public/index.html"), content).expect("written");
    store.publish(staged, &meta("serve")).expect("published")
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .expect("reads")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .collect();
    names.sort();
    names
}

#[test]
fn publishes_once_and_reads_back() {
    let place = tempfile::tempdir().expect("a folder");
    let path = place.path().join("slugs");
    let store = SlugStore::open(&path).expect("opens");
    let first = published(&store, "hello");
    assert_eq!((first.files, first.bytes, first.outcome), (1, 5, Outcome::New));
    let again = published(&store, "hello");
    assert_eq!((&again.id, again.outcome), (&first.id, Outcome::Unchanged));
    let other = published(&store, "changed");
    assert_ne!(other.id, first.id);
    let mut expected = vec![first.id.hex().to_owned(), other.id.hex().to_owned()];
    expected.sort();
    assert_eq!(names(&path), expected, "no staging folder stays");
    let store = SlugStore::open(&path).expect("opens again");
    assert_eq!(store.config(&first.id).expect("reads").meta().expect("has one"), meta("serve"));
    assert_eq!(store.list().expect("lists").len(), 2);
    store.verify(&first.id).expect("unchanged");
    let file = store.tree_path(&first.id).join("public/index.html");
    assert_eq!(fs::read_to_string(&file).expect("reads"), "hello");
}

#[test]
fn what_could_not_be_read_back_is_not_published() {
    let place = tempfile::tempdir().expect("a folder");
    let path = place.path().join("slugs");
    let store = SlugStore::open(&path).expect("opens");
    let publish = |command: usize| store.publish(store.stage().expect("staged"), &meta(&"x".repeat(command)));
    // A command stands in it twice.
    let half = usize::try_from(config::MAX_BYTES).expect("fits") / 2;
    let id = publish(half - 1024).expect("just fits").id;
    store.config(&id).expect("reads");
    let refused = publish(half).expect_err("too large");
    assert!(matches!(refused, SlugError::ConfigTooLarge { .. }), "{refused}");
    assert_eq!(names(&path), [id.hex()]);
}

#[test]
fn everything_published_is_readable_by_all() {
    let place = tempfile::tempdir().expect("a folder");
    let store = SlugStore::open(&place.path().join("slugs")).expect("opens");
    let id = published(&store, "hello").id;
    let mode = |path: &Path| fs::metadata(path).expect("is there").permissions().mode() & 0o777;
    let slug = place.path().join("slugs").join(id.hex());
    for folder in [&place.path().join("slugs"), &slug, &store.tree_path(&id)] {
        assert_eq!(mode(folder), 0o755, "{}", folder.display());
    }
    assert_eq!(mode(&slug.join("config.json")), 0o644);
}

#[test]
fn a_dropped_stage_and_leftovers_disappear() {
    let place = tempfile::tempdir().expect("a folder");
    let store = SlugStore::open(place.path()).expect("opens");
    let staged = store.stage().expect("staged");
    fs::write(staged.tree_path().join("x"), "x").expect("written");
    drop(staged);
    assert!(names(place.path()).is_empty());
    let staged = store.stage().expect("staged");
    std::mem::forget(staged);
    fs::create_dir_all(place.path().join(".trash-1-2/tree/deep")).expect("made");
    let kept = published(&store, "hello").id;
    assert_eq!(store.clean_leftovers().expect("cleaned"), 2);
    assert_eq!(names(place.path()), [kept.hex()]);
}

#[test]
fn collects_what_is_not_kept_after_its_grace() {
    let place = tempfile::tempdir().expect("a folder");
    let store = SlugStore::open(place.path()).expect("opens");
    let kept = published(&store, "kept").id;
    let dropped = published(&store, "dropped").id;
    let unused = || [dropped.clone()];
    let grace = Duration::from_secs(3600);
    let (soon, later) = (SystemTime::now(), SystemTime::now() + grace * 2);
    assert_eq!(store.gc(unused(), grace, soon).expect("collects"), []);
    assert_eq!(store.gc(unused(), grace, later).expect("collects"), std::slice::from_ref(&dropped));
    assert!(store.contains(&kept) && !store.contains(&dropped));
    assert_eq!(names(place.path()), [kept.hex()], "nothing stays of what was removed");
    assert!(matches!(store.config(&dropped), Err(SlugError::Unknown { .. })));
    store.remove(&dropped).expect("none there is success");
    store.remove(&kept).expect("removed");
    assert!(names(place.path()).is_empty());
}

#[test]
fn publishing_again_begins_a_new_grace() {
    let place = tempfile::tempdir().expect("a folder");
    let store = SlugStore::open(place.path()).expect("opens");
    let id = published(&store, "x").id;
    let config = fs::File::options().write(true).open(place.path().join(config_path(&id))).expect("opens");
    config.set_modified(SystemTime::UNIX_EPOCH).expect("set");
    published(&store, "x");
    let removed = store.gc([id], Duration::from_secs(3600), SystemTime::now()).expect("collects");
    assert_eq!(removed, []);
}

#[test]
fn damage_is_noticed_and_mended_by_publishing() {
    let place = tempfile::tempdir().expect("a folder");
    let store = SlugStore::open(place.path()).expect("opens");
    let id = published(&store, "hello").id;
    fs::write(store.tree_path(&id).join("public/index.html"), "other").expect("written");
    assert!(matches!(store.verify(&id), Err(SlugError::Changed { .. })));
    fs::write(place.path().join(config_path(&id)), "{}").expect("written");
    assert!(matches!(store.config(&id), Err(SlugError::Config { .. })));
    assert!(!store.contains(&id));
    assert_eq!(published(&store, "hello").outcome, Outcome::New);
    store.verify(&id).expect("whole again");
}

#[test]
fn what_cannot_be_read_at_the_moment_is_left_alone() {
    let place = tempfile::tempdir().expect("a folder");
    let store = SlugStore::open(place.path()).expect("opens");
    let id = published(&store, "hello").id;
    let (config, aside) = (place.path().join(config_path(&id)), place.path().join("aside"));
    fs::rename(&config, &aside).expect("renamed");
    // Opening a socket fails as a bad disk would.
    let socket = std::os::unix::net::UnixListener::bind(&config).expect("bound");
    let staged = store.stage().expect("staged");
    fs::create_dir(staged.tree_path().join("public")).expect("made");
    fs::write(staged.tree_path().join("public/index.html"), "hello").expect("written");
    let refused = store.publish(staged, &meta("serve")).expect_err("what is there cannot be read");
    assert!(matches!(refused, SlugError::Read { .. }), "{refused}");
    assert!(store.tree_path(&id).join("public/index.html").exists(), "apps may run on it");
    drop(socket);
    fs::rename(&aside, &config).expect("renamed");
    assert_eq!(published(&store, "hello").outcome, Outcome::Unchanged);
}

#[test]
fn many_files_are_published_too() {
    let place = tempfile::tempdir().expect("a folder");
    let store = SlugStore::open(place.path()).expect("opens");
    let staged = store.stage().expect("staged");
    for number in 0..600 {
        fs::write(staged.tree_path().join(number.to_string()), "x").expect("written");
    }
    assert_eq!(store.publish(staged, &meta("serve")).expect("published").files, 600);
}

#[test]
fn an_extracted_tree_is_adopted_whole() {
    let place = tempfile::tempdir().expect("a folder");
    let store = SlugStore::open(&place.path().join("slugs")).expect("opens");
    let source = place.path().join("src");
    fs::create_dir_all(source.join("public")).expect("made");
    fs::set_permissions(&source, fs::Permissions::from_mode(0o700)).expect("set");
    fs::write(source.join("public/index.html"), "hello").expect("written");
    let mut staged = store.stage().expect("staged");
    staged.adopt(&source).expect("adopted");
    assert!(!source.exists());
    assert_eq!(fs::metadata(staged.tree_path()).expect("is there").permissions().mode() & 0o777, 0o755);
    assert_eq!(store.publish(staged, &meta("serve")).expect("published").id, published(&store, "hello").id);

    fs::create_dir(&source).expect("made");
    let mut staged = store.stage().expect("staged");
    fs::write(staged.tree_path().join("x"), "x").expect("written");
    assert!(staged.adopt(&source).is_err(), "a tree that is not empty is not replaced");
    assert!(source.exists());
}

#[test]
fn what_was_built_replaces_what_was_pushed_under_its_name() {
    let place = tempfile::tempdir().expect("a folder");
    let store = SlugStore::open(place.path()).expect("opens");
    let (staged, built) = (store.stage().expect("staged"), store.stage().expect("staged"));
    fs::create_dir(staged.tree_path().join("target")).expect("made");
    fs::write(staged.tree_path().join("target/pushed"), "x").expect("written");
    fs::write(built.tree_path().join("built"), "x").expect("written");
    staged.put("target", built).expect("put");
    assert_eq!(names(&staged.tree_path().join("target")), ["built"]);
    drop(staged);
    assert!(names(place.path()).is_empty());
}
