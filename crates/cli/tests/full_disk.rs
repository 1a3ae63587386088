//! A full disk: clear errors, nothing corrupt, and everything goes on when there is space again.

mod support;

use std::path::Path;
use std::process::Command;
use support::eventually;
use support::repository::Repository;
use support::server::Server;

/// A small file system over a folder, gone when dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// Mounts 64 MB over `folder`, with what lies in it moved along.
    fn over(folder: &'a Path) -> Self {
        let kept = folder.with_extension("kept");
        let run = |words: &[&str]| {
            let status = Command::new(words[0]).args(&words[1..]).status().expect("it runs");
            assert!(status.success(), "{words:?}");
        };
        let (folder_text, kept_text) = (folder.to_str().expect("UTF-8"), kept.to_str().expect("UTF-8"));
        run(&["cp", "-a", folder_text, kept_text]);
        let owner = format!("--reference={kept_text}");
        run(&["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder_text]);
        run(&["cp", "-a", &format!("{kept_text}/."), folder_text]);
        run(&["chown", &owner, folder_text]);
        run(&["chmod", &owner, folder_text]);
        Self(folder)
    }

    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("filler")).expect("a file");
        let block = vec![0u8; 64 * 1024];
        while std::io::Write::write_all(&mut file, &block).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).expect("the filler goes");
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _still_busy = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

fn static_site() -> Repository {
    let repository = Repository::new();
    repository.write("index.html", "<h1>hello</h1>");
    repository.commit("a page");
    repository
}

#[test]
fn a_full_disk_under_the_ledger_is_told_and_survived() {
    if support::ordinary::needs_root("to mount a small file system") {
        return;
    }
    let mut server = Server::start();
    server.dozen(&["apps:create", "site"]);
    let repository = static_site();
    repository.connect(&server, "site");
    repository.push(&server);
    server.dozen(&["server", "stop"]);
    let ledger = server.data().join("ledger");
    let disk = SmallDisk::over(&ledger);
    server.start_again();
    server.wait_for_api();

    disk.fill();
    let refused = server.try_dozen(&["config:set", "A=1", "-a", "site"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success(), "{told}");
    assert!(told.contains("disk") || told.contains("space"), "says what is wrong: {told}");
    assert_eq!(server.get("site", "/").status, 200, "the app answers on");

    disk.free();
    eventually("the change goes through", 20, || {
        server.try_dozen(&["config:set", "A=1", "-a", "site"]).status.success().then_some(())
    });
    assert_eq!(server.dozen(&["config:get", "A", "-a", "site"]).trim(), "1");
    assert_eq!(
        server.json(&["releases", "-a", "site"]).as_array().map(Vec::len),
        Some(2),
        "nothing was half done"
    );
    server.stop();
    drop(disk);
}

#[test]
fn a_full_disk_under_the_journal_hurts_no_app() {
    if support::ordinary::needs_root("to mount a small file system") {
        return;
    }
    let mut server = Server::start();
    server.dozen(&["server", "stop"]);
    let logs = server.data().join("logs");
    let disk = SmallDisk::over(&logs);
    server.start_again();
    server.dozen(&["apps:create", "site"]);
    let repository = static_site();
    repository.connect(&server, "site");
    repository.push(&server);

    disk.fill();
    for _ in 0..20 {
        assert_eq!(server.get("site", "/").status, 200);
    }
    disk.free();
    eventually("lines are kept again, and the lost ones are told", 40, || {
        server.get("site", "/after-the-flood");
        server.dozen(&["logs", "-n", "1500", "-a", "site"]).contains("/after-the-flood").then_some(())
    });
    server.stop();
    drop(disk);
}
