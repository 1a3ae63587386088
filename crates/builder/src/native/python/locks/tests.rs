//! Lock files that the tools themselves wrote, and what pip is told to install by them.

use super::*;

fn table(text: &str) -> Table {
    text.parse().expect("parses")
}

/// Requirements without their hashes, which must be there.
fn listed(rendered: &Rendered) -> Vec<String> {
    let lines = rendered.requirements.lines();
    let plain = |line: &str| {
        let (requirement, hashes) = line.split_once(" --hash=sha256:").expect("a hash");
        assert!(hashes.len() >= 64, "{line}");
        requirement.split_once("==").map(|(name, rest)| {
            let marker = rest.split_once(" ; ").map(|(_, marker)| format!(" ; {marker}")).unwrap_or_default();
            format!("{name}{marker}")
        })
    };
    let mut all: Vec<String> = lines.filter_map(plain).collect();
    all.sort();
    all
}

const FLASK: [&str; 7] = ["blinker", "click", "flask", "itsdangerous", "jinja2", "markupsafe", "werkzeug"];

/// Flask and what it needs, and whatever else.
fn flask_and(others: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = FLASK.iter().chain(others).map(|name| (*name).to_owned()).collect();
    all.sort();
    all
}

fn without_colorama(all: Vec<String>) -> Vec<String> {
    all.into_iter().filter(|line| !line.starts_with("colorama")).collect()
}

#[test]
fn each_lock_gives_what_the_app_needs_and_no_tool_of_its_developers() {
    let uv = uv(include_str!("../samples/uv.lock"), &table(include_str!("../samples/uv.toml"))).expect("uv");
    assert_eq!(without_colorama(listed(&uv)), flask_and(&[]));
    assert!(uv.requirements.contains("colorama==") && uv.requirements.contains("win32"), "{uv:?}");
    assert_eq!(uv.requires_python.as_deref(), Some(">=3.11"));
    let (old, new) = (include_str!("../samples/poetry-1.lock"), include_str!("../samples/poetry-2.lock"));
    let old = poetry(old, &table(include_str!("../samples/poetry-1.toml"))).expect("Poetry 1");
    assert_eq!(without_colorama(listed(&old)), flask_and(&[]));
    let new = poetry(new, &table(include_str!("../samples/poetry-2.toml"))).expect("Poetry 2");
    assert_eq!(without_colorama(listed(&new)), flask_and(&[]));
    assert_eq!(new.requires_python.as_deref(), Some(">=3.11,<4"));
    let pipfile = table(include_str!("../samples/Pipfile"));
    let pipenv = pipenv(include_str!("../samples/Pipfile.lock"), Some(&pipfile)).expect("Pipenv");
    let plain: Vec<String> =
        listed(&pipenv).iter().map(|line| line.split(" ;").next().unwrap_or_default().to_owned()).collect();
    assert_eq!(plain, flask_and(&["gunicorn"]));
    assert_eq!(pipenv.python_version.as_deref(), Some("3.11"));
    for rendered in [&uv, &old, &new, &pipenv] {
        assert!(!rendered.requirements.contains("iniconfig"), "{rendered:?}");
        assert!(!rendered.requirements.contains("--extra-index-url"), "{rendered:?}");
    }
}

#[test]
fn a_lock_that_no_longer_fits_is_refused_with_the_command_that_mends_it() {
    let drifted = |text: &str, from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        table(&text.replace(from, to))
    };
    let uv_toml = drifted(include_str!("../samples/uv.toml"), "Flask>=3.0", "Flask>=3.1");
    let poetry_toml = drifted(include_str!("../samples/poetry-2.toml"), ">=3.0,<4.0", ">=3.1");
    let pipfile = drifted(include_str!("../samples/Pipfile"), "gunicorn = \"*\"", "gunicorn = \">=20\"");
    let errors = [
        uv(include_str!("../samples/uv.lock"), &uv_toml).expect_err("drifted"),
        poetry(include_str!("../samples/poetry-2.lock"), &poetry_toml).expect_err("drifted"),
        pipenv(include_str!("../samples/Pipfile.lock"), Some(&pipfile)).expect_err("drifted"),
    ];
    for (error, fix) in errors.iter().zip(["uv lock", "poetry lock", "pipenv lock"]) {
        let text = error.to_string();
        assert!(text.contains("no longer fits") && text.contains(fix), "{text}");
    }
    let python = drifted(include_str!("../samples/uv.toml"), ">=3.11", ">=3.12");
    assert!(uv(include_str!("../samples/uv.lock"), &python).is_err(), "the interpreter is part of it");
}

#[test]
fn formats_that_nobody_has_read_yet_are_refused() {
    let manifest = table(include_str!("../samples/poetry-2.toml"));
    let lock = include_str!("../samples/poetry-2.lock");
    for version in ["1.1", "2.2", "2.10", "3.0", ""] {
        let other = lock.replace("lock-version = \"2.1\"", &format!("lock-version = \"{version}\""));
        let refused = poetry(&other, &manifest).expect_err("refused").to_string();
        assert!(refused.contains(&format!("has the format \"{version}\"")), "{refused}");
    }
}

#[test]
fn requirement_keys_ignore_form() {
    for text in ["Flask[async] >= 3.0, <4 ; python_version > '3'", "flask (<4,>=3.0)", "flask<4,>=3.0"] {
        assert_eq!(requirement_key(text), ("flask".to_owned(), "<4,>=3.0".to_owned()), "{text}");
    }
    assert_eq!(requirement_key("a @ https://x/a.whl"), ("a".to_owned(), String::new()));
}

#[test]
fn other_indexes_are_named_once() {
    let urls = ["https://pypi.org/simple", "https://b/simple/", "https://a/simple", "https://b/simple"];
    let expected = "--extra-index-url https://a/simple\n--extra-index-url https://b/simple\n";
    assert_eq!(extra_indexes(urls.into_iter()), expected);
}

/// A lock of uv for an app that needs these, without drift.
fn uv_lock(root: &str, packages: &str) -> Result<Rendered, PythonError> {
    let names = root.split(',').map(|name| format!("{{ name = \"{name}\" }}")).collect::<Vec<_>>().join(", ");
    let quoted = root.split(',').map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let text = format!(
        "version = 1\n[[package]]\nname = \"app\"\nversion = \"1\"\nsource = {{ virtual = \".\" }}\n\
         dependencies = [{names}]\n[package.metadata]\nrequires-dist = [{names}]\n{packages}"
    );
    uv(&text, &table(&format!("[project]\nname = \"app\"\ndependencies = [{quoted}]\n")))
}

#[test]
fn a_long_marker_is_not_multiplied_by_what_a_package_needs() {
    let package = |name: &str, needs: &str| {
        format!(
            "[[package]]\nname = \"{name}\"\nversion = \"1\"\nsource = {{ registry = \"https://pypi.org/simple\" }}\n\
             dependencies = [{needs}]\n"
        )
    };
    let marker = "x".repeat(1024 * 1024);
    let one = package("a", &format!("{{ name = \"b\", marker = \"{marker}\" }}"));
    let lock = one + &package("b", &"{ name = \"c\" }, ".repeat(1000)) + &package("c", "");
    assert_eq!(uv_lock("a", &lock).expect("rendered").requirements, "a==1\nb==1\nc==1\n");
}

#[test]
fn extras_that_name_a_dependency_over_and_over_are_refused() {
    let several = "{ version = \"1\" }, ".repeat(500);
    let extras = "\"b\", ".repeat(500);
    let package = format!(
        "name = \"a\"\nversion = \"1\"\n[dependencies]\nb = [{several}]\n[extras]\nmore = [{extras}]"
    );
    let package: PoetryPackage = toml::from_str(&package).expect("parses");
    assert_eq!(package.to_package(&mut MOST_STEPS.clone()), Err(GraphError::TooLarge));
    assert_eq!(package.to_package(&mut 250_000).expect("made").extras["more"].len(), 250_000);
}

#[test]
fn only_packages_that_are_installed_have_to_come_from_an_index() {
    let package = |name: &str, source: &str| {
        format!("[[package]]\nname = \"{name}\"\nversion = \"1\"\nsource = {{ {source} }}\n")
    };
    let (pypi, git) = ("registry = \"https://pypi.org/simple\"", "git = \"https://example.com/x\"");
    let lock = package("prometheus-client", pypi) + &package("client", git);
    assert_eq!(uv_lock("prometheus-client", &lock).expect("rendered").requirements, "prometheus-client==1\n");
    let refused = uv_lock("client", &lock).expect_err("refused").to_string();
    assert!(refused.contains("\"client\" of uv.lock"), "{refused}");
    let (lock, manifest) =
        (include_str!("../samples/poetry-2.lock"), include_str!("../samples/poetry-2.toml"));
    let (before, metadata) = lock.split_once("[metadata]").expect("both");
    let foreign = "[[package]]\nname = \"ask\"\nversion = \"1\"\ngroups = [\"dev\"]\nfiles = []\n\
                   [package.source]\ntype = \"git\"\nurl = \"https://example.com/x\"\n";
    let with = format!("{before}{foreign}[metadata]{metadata}");
    let rendered = poetry(&with, &table(manifest)).expect("a tool of developers may come from git");
    assert!(!rendered.requirements.contains("\nask=="), "{rendered:?}");
    let main = with.replace("groups = [\"dev\"]\nfiles = []", "groups = [\"main\"]\nfiles = []");
    let refused = poetry(&main, &table(manifest)).expect_err("refused").to_string();
    assert!(refused.contains("\"ask\" of poetry.lock"), "{refused}");
}
