//! How a Node.js app is started whose Procfile does not say it.
//!
//! As `npm start`, but without npm where it adds nothing: it costs a third of a second at each start, some 50 MB for as long as the
//! app runs, and stands between the app and its signals.

use super::package::Package;
use crate::processes::{self, Processes};
use blobs::tree::{ReadError, SourceTree};
use domain::procfile::MAX_COMMAND_BYTES;

const START: &str = "start";
/// What npm starts if there is no script.
const SERVER: &str = "server.js";
const NEXT: &str = "next";
/// Longest path of a file that is started, in bytes: what a file system takes as a name.
const LONGEST_FILE: usize = 255;
/// In a script, these words ask for what only a package manager gives.
const MANAGERS: [&str; 5] = ["npm", "pnpm", "yarn", "npm_", "$INIT_CWD"];

/// The default `web`, and why; `None` when nothing tells.
pub(crate) fn find(tree: &SourceTree, package: &Package) -> Result<Option<(Processes, String)>, ReadError> {
    if let Some(start) = package.scripts.get(START) {
        return Ok(Some((processes::web(&start_command(package, start)), "the start script".to_owned())));
    }
    if package.dependencies.contains_key(NEXT) {
        return Ok(Some((processes::web("next start -p $PORT"), "Next.js".to_owned())));
    }
    for file in [Some(SERVER), package.main.as_deref()].into_iter().flatten() {
        let file = file.trim_start_matches("./");
        if is_plain(file) && tree.is_file(file)? {
            return Ok(Some((processes::web(&format!("node {file}")), file.to_owned())));
        }
    }
    Ok(None)
}

/// The script itself, where a package manager would do no more than run it.
fn start_command(package: &Package, start: &str) -> String {
    let has_neighbours = ["prestart", "poststart"].iter().any(|name| package.scripts.contains_key(*name));
    let asks_manager = MANAGERS.iter().any(|word| start.contains(word));
    // What a Procfile would not take as a command either.
    let is_command = !start.trim().is_empty()
        && start.len() <= MAX_COMMAND_BYTES
        && !start.chars().any(|c| c.is_control() && c != '\t');
    if has_neighbours || asks_manager || !is_command {
        "npm start".to_owned()
    } else {
        start.trim().to_owned()
    }
}

/// It becomes a word of a command line, and names a file of the source tree.
fn is_plain(file: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'/');
    let is_inside = !file.starts_with('/') && file.split('/').all(|part| part != "..");
    let is_short = file.len() <= LONGEST_FILE;
    !file.is_empty() && !file.starts_with('-') && is_inside && is_short && file.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web(package: &str, files: &[&str]) -> String {
        let place = tempfile::tempdir().expect("a folder");
        files.iter().for_each(|name| std::fs::write(place.path().join(name), "").expect("written"));
        let tree = SourceTree::open(place.path()).expect("opens");
        let found = find(&tree, &Package::parse(package).expect("parses")).expect("reads");
        found
            .map_or_else(String::new, |(processes, _)| processes.values().next().cloned().unwrap_or_default())
    }

    #[test]
    fn the_start_script_else_what_is_there() {
        for (package, files, expected) in [
            (r#"{"scripts":{"start":"node server.js"}}"#, &[][..], "node server.js"),
            (r#"{"scripts":{"start":"node server.js","prestart":"x"}}"#, &[], "npm start"),
            (r#"{"scripts":{"start":"npm run serve"}}"#, &[], "npm start"),
            (r#"{"dependencies":{"next":"15"}}"#, &[], "next start -p $PORT"),
            (r#"{"dependencies":{"next":"15"},"scripts":{"start":"next start"}}"#, &[], "next start"),
            (r#"{"main":"./lib.js"}"#, &["lib.js"], "node lib.js"),
            (r#"{"main":"lib.js"}"#, &["lib.js", "server.js"], "node server.js"),
            (r#"{"main":"lib.js"}"#, &[], ""),
            (r#"{"main":"a; rm -rf"}"#, &[], ""),
            (r#"{"main":"../lib.js"}"#, &[], ""),
            (r#"{"main":"./lib/../../lib.js"}"#, &["lib.js"], ""),
            (r#"{"main":".//etc/hostname"}"#, &[], ""),
            (r#"{"main":"/etc/hostname"}"#, &[], ""),
            ("{}", &["server.js"], "node server.js"),
            (r#"{"scripts":{"start":"node\ta"}}"#, &[], "node\ta"),
            (r#"{"scripts":{"start":"node a\u001b[2J"}}"#, &[], "npm start"),
            (r#"{"scripts":{"start":"node a\nnode b"}}"#, &[], "npm start"),
        ] {
            assert_eq!(web(package, files), expected, "{package}");
        }
        let start = |length| format!(r#"{{"scripts":{{"start":"{}"}}}}"#, "x".repeat(length));
        assert_eq!(web(&start(MAX_COMMAND_BYTES), &[]).len(), MAX_COMMAND_BYTES);
        assert_eq!(web(&start(MAX_COMMAND_BYTES + 1), &[]), "npm start");
        assert_eq!(web(&format!(r#"{{"main":"{}"}}"#, "x".repeat(5000)), &[]), "");
    }
}
