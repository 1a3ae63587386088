//! A push that is watched while it goes on.

use super::eventually;
use super::repository::Repository;
use super::server::Server;
use std::io::Read;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

/// A running `git push`. Dropping it ends the client.
pub struct Push {
    client: Child,
    said: Arc<Mutex<String>>,
}

impl Push {
    pub fn start(repository: &Repository, server: &Server) -> Self {
        use std::os::unix::process::CommandExt;
        let mut command = repository.push_command(server);
        let mut client = command.stderr(Stdio::piped()).process_group(0).spawn().expect("git runs");
        let mut stream = client.stderr.take().expect("a pipe");
        let said = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut piece) {
                heard.lock().expect("no holder panics").push_str(&String::from_utf8_lossy(&piece[..count]));
            }
        });
        Self { client, said }
    }

    /// The process group's id.
    pub fn id(&self) -> u32 {
        self.client.id()
    }

    /// Everything that was printed up to now.
    pub fn said(&self) -> String {
        self.said.lock().expect("no holder panics").clone()
    }

    pub fn wait_until_said(&self, text: &str, seconds: u64) -> String {
        eventually(&format!("the push says {text:?}"), seconds, || {
            let said = self.said();
            said.contains(text).then_some(said)
        })
    }

    pub fn wait(mut self) -> (ExitStatus, String) {
        let status = self.client.wait().expect("its status");
        // The last bytes may still be in the pipe.
        let mut said = self.said();
        for _ in 0..20 {
            std::thread::sleep(std::time::Duration::from_millis(25));
            said = self.said();
        }
        (status, said)
    }

    /// Ends git and the helpers that it started, as when a terminal is closed.
    pub fn kill(mut self) {
        self.kill_group();
        let _reaped = self.client.wait();
    }

    fn kill_group(&self) {
        let group = rustix::process::Pid::from_raw(i32::try_from(self.client.id()).expect("a pid"))
            .expect("not zero");
        let _gone = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

impl Drop for Push {
    fn drop(&mut self) {
        if matches!(self.client.try_wait(), Ok(None)) {
            self.kill_group();
            let _reaped = self.client.wait();
        }
    }
}
