//! How a Python app is started whose Procfile does not say it: by its framework and the server that is among its packages.

use super::MANAGE;
use crate::processes::{self, Processes};
use blobs::tree::{Kind, ReadError, SourceTree};
use std::collections::BTreeSet;

/// Where frameworks' own introductions put the application.
const MODULES: [&str; 8] = ["app", "main", "wsgi", "asgi", "application", "server", "api", "run"];
/// Folders that a module is looked for in, besides the top one.
const FOLDERS: [&str; 2] = ["app", "src"];
/// Largest source file that is searched for an application object.
const SOURCE_BYTES: u64 = 256 * 1024;
/// Most top folders that are looked into.
const MOST_FOLDERS: usize = 200;
const SETTINGS: &str = "settings";
const STATIC_ROOT: &str = "STATIC_ROOT";

/// The default `web`, and why; `None` when nothing tells.
pub(crate) fn find(
    tree: &SourceTree,
    packages: &BTreeSet<String>,
) -> Result<Option<(Processes, String)>, ReadError> {
    let has = |name: &str| packages.contains(name);
    if has("django") && tree.is_file(MANAGE)? {
        return django(tree, &has);
    }
    for (framework, call) in [("fastapi", "FastAPI("), ("flask", "Flask(")] {
        if has(framework)
            && let Some(application) = application(tree, call)?
        {
            let command =
                if framework == "flask" { flask(&application, &has) } else { fastapi(&application, &has) };
            return Ok(command.map(|command| (processes::web(&command), title(framework).to_owned())));
        }
    }
    Ok(None)
}

fn title(framework: &str) -> &'static str {
    if framework == "flask" { "Flask" } else { "FastAPI" }
}

fn django(tree: &SourceTree, has: &dyn Fn(&str) -> bool) -> Result<Option<(Processes, String)>, ReadError> {
    let command = match (project_with(tree, "wsgi.py")?, project_with(tree, "asgi.py")?) {
        (Some(project), _) if has("gunicorn") => format!("gunicorn {project}.wsgi"),
        (_, Some(project)) if has("uvicorn") => {
            format!("uvicorn {project}.asgi:application --host 0.0.0.0 --port $PORT")
        }
        (_, Some(project)) if has("daphne") => {
            format!("daphne -b 0.0.0.0 -p $PORT {project}.asgi:application")
        }
        (Some(project), _) if has("waitress") => {
            format!("waitress-serve --listen=0.0.0.0:$PORT {project}.wsgi:application")
        }
        // As Heroku does where no server is among the packages.
        _ => format!("python {MANAGE} runserver 0.0.0.0:$PORT"),
    };
    Ok(Some((processes::web(&command), "Django".to_owned())))
}

/// gunicorn listens on `PORT` by itself.
fn flask(application: &str, has: &dyn Fn(&str) -> bool) -> Option<String> {
    if has("gunicorn") {
        return Some(format!("gunicorn {application}"));
    }
    if has("waitress") {
        return Some(format!("waitress-serve --listen=0.0.0.0:$PORT {application}"));
    }
    Some(format!("flask --app {application} run --host 0.0.0.0 --port $PORT"))
}

fn fastapi(application: &str, has: &dyn Fn(&str) -> bool) -> Option<String> {
    if has("uvicorn") {
        return Some(format!("uvicorn {application} --host 0.0.0.0 --port $PORT"));
    }
    if has("hypercorn") {
        return Some(format!("hypercorn {application} --bind 0.0.0.0:$PORT"));
    }
    None
}

/// `MODULE:NAME` of the object that a call makes, in the places where it usually is.
fn application(tree: &SourceTree, call: &str) -> Result<Option<String>, ReadError> {
    let top = MODULES.iter().map(|module| ((*module).to_owned(), format!("{module}.py")));
    let below = FOLDERS.iter().flat_map(|folder| {
        let package = std::iter::once(((*folder).to_owned(), format!("{folder}/__init__.py")));
        package.chain(
            MODULES.iter().map(move |module| (format!("{folder}.{module}"), format!("{folder}/{module}.py"))),
        )
    });
    for (module, path) in top.chain(below) {
        if let Some(text) = source(tree, &path)?
            && let Some(name) = assigned(&text, call)
        {
            return Ok(Some(format!("{module}:{name}")));
        }
    }
    Ok(None)
}

/// The name that a top-level line gives to what a call makes.
fn assigned(text: &str, call: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        let name = name.split(':').next().unwrap_or_default().trim_end();
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let value = value.trim_start();
        let is_call = value.starts_with(call) || value.contains(&format!(".{call}"));
        (is_name && is_call).then(|| name.to_owned())
    })
}

/// The folder at the top that holds a file of this name.
fn project_with(tree: &SourceTree, file: &str) -> Result<Option<String>, ReadError> {
    for folder in top_folders(tree)? {
        if tree.is_file(&format!("{folder}/{file}"))? {
            return Ok(Some(folder));
        }
    }
    Ok(None)
}

/// Whether a Django project says where static files are to be collected.
pub(crate) fn has_static_root(tree: &SourceTree) -> Result<bool, ReadError> {
    for folder in top_folders(tree)? {
        let listed = tree.list(&format!("{folder}/{SETTINGS}"))?.unwrap_or_default();
        let inside = listed.into_iter().filter_map(|entry| String::from_utf8(entry.name).ok());
        let inside =
            inside.filter(|name| name.ends_with(".py")).map(|name| format!("{folder}/{SETTINGS}/{name}"));
        for path in inside.chain([format!("{folder}/{SETTINGS}.py")]) {
            if source(tree, &path)?.is_some_and(|text| text.contains(STATIC_ROOT)) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn top_folders(tree: &SourceTree) -> Result<Vec<String>, ReadError> {
    let listed = tree.list("")?.unwrap_or_default().into_iter();
    let folders = listed.filter(|entry| entry.kind == Kind::Folder);
    let names = folders.filter_map(|entry| String::from_utf8(entry.name).ok());
    Ok(names.filter(|name| is_module(name)).take(MOST_FOLDERS).collect())
}

/// It becomes a word of a command line.
fn is_module(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn source(tree: &SourceTree, path: &str) -> Result<Option<String>, ReadError> {
    match tree.read(path, SOURCE_BYTES) {
        Ok(bytes) => Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())),
        // Whatever it is, it is not what is looked for.
        Err(ReadError::TooLarge { .. } | ReadError::Link { .. } | ReadError::NotAFile { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web(files: &[(&str, &str)], packages: &[&str]) -> Option<String> {
        let place = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = place.path().join(name);
            std::fs::create_dir_all(path.parent().expect("has one")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        let tree = SourceTree::open(place.path()).expect("opens");
        let packages = packages.iter().map(|name| (*name).to_owned()).collect();
        let found = find(&tree, &packages).expect("reads");
        found.map(|(processes, why)| format!("{why}: {}", processes.values().next().expect("has web")))
    }

    #[test]
    fn frameworks_are_started_by_the_server_they_bring() {
        let django = [("manage.py", ""), ("shop/wsgi.py", ""), ("shop/asgi.py", "")];
        let flask = [("app.py", "from flask import Flask\napp = Flask(__name__)\n")];
        let fastapi = [("app/main.py", "import fastapi\napi: FastAPI = fastapi.FastAPI(title='x')\n")];
        let cases = [
            web(&django, &["django", "gunicorn"]),
            web(&django, &["django", "uvicorn"]),
            web(&django, &["django"]),
            web(&flask, &["flask", "gunicorn"]),
            web(&flask, &["flask", "waitress"]),
            web(&flask, &["flask"]),
            web(&fastapi, &["fastapi", "uvicorn"]),
            web(&fastapi, &["fastapi"]),
            web(&flask, &["gunicorn"]),
            web(&[("app.py", "    app = Flask(__name__)")], &["flask", "gunicorn"]),
        ];
        let shown: Vec<String> =
            cases.into_iter().map(|case| case.unwrap_or_else(|| "-".to_owned())).collect();
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn static_files_are_collected_where_a_project_says_so() {
        let place = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(place.path().join("shop/settings")).expect("made");
        let tree = SourceTree::open(place.path()).expect("opens");
        assert!(!has_static_root(&tree).expect("reads"));
        std::fs::write(place.path().join("shop/settings/base.py"), "STATIC_ROOT = 'x'").expect("written");
        assert!(has_static_root(&tree).expect("reads"));
    }
}
