//! What a build says: kept whole while it runs, written to a file as it comes, read by any number of listeners at their own pace.

use crate::bell::Bell;
use crate::error::Error;
use domain::build::BuildStatus;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Output of one build that is kept; what comes after is counted.
pub(crate) const OUTPUT_LIMIT_BYTES: usize = 4 * 1024 * 1024;
/// Text handed to a listener at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Longest line.
const LINE_LIMIT_BYTES: usize = 16 * 1024;

/// What a listener gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Whole lines, each with its line end.
    Text(String),
    /// Nothing new within the time.
    Quiet,
    End,
}

/// The output of a build that waits or runs.
pub(crate) struct LiveOutput {
    state: Mutex<State>,
    bell: Bell,
}

#[derive(Default)]
struct State {
    text: String,
    dropped_lines: u64,
    file: Option<File>,
    ended: Option<BuildStatus>,
}

impl LiveOutput {
    /// A file that cannot be opened costs the kept copy, not the build.
    pub(crate) fn new(path: &Path) -> Self {
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        let file = made.and_then(|()| OpenOptions::new().create(true).append(true).open(path));
        let file = file.inspect_err(|error| tracing::warn!(%error, "build output is not kept")).ok();
        Self { state: Mutex::new(State { file, ..State::default() }), bell: Bell::default() }
    }

    /// Adds one line. Never waits for a listener.
    pub(crate) fn line(&self, line: &str) {
        let mut state = self.lock();
        let line = cut(line.trim_end_matches(['\n', '\r']), LINE_LIMIT_BYTES);
        if state.text.len() + line.len() + 1 > OUTPUT_LIMIT_BYTES {
            state.dropped_lines += 1;
            return;
        }
        state.push(line);
        drop(state);
        self.bell.ring();
    }

    /// Says how it ended. Only the first call counts.
    pub(crate) fn end(&self, status: BuildStatus) {
        let mut state = self.lock();
        if state.ended.is_some() {
            return;
        }
        if state.dropped_lines > 0 {
            let dropped = state.dropped_lines;
            state.push(&format!(" !     {dropped} more lines of output were not kept"));
        }
        state.ended = Some(status);
        state.file = None;
        drop(state);
        self.bell.ring();
    }

    pub(crate) fn ended(&self) -> Option<BuildStatus> {
        self.lock().ended.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn push(&mut self, line: &str) {
        let start = self.text.len();
        self.text.push_str(line);
        self.text.push('\n');
        let written =
            self.file.as_mut().map_or(Ok(()), |file| file.write_all(&self.text.as_bytes()[start..]));
        if let Err(error) = written {
            tracing::warn!(%error, "build output is not kept any more");
            self.file = None;
        }
    }
}

fn cut(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// One listener, at its own pace. It never holds back the build.
pub struct OutputReader {
    source: Source,
    offset: usize,
}

enum Source {
    Live(Arc<LiveOutput>),
    Stored(String),
}

impl OutputReader {
    pub(crate) fn live(output: Arc<LiveOutput>) -> Self {
        Self { source: Source::Live(output), offset: 0 }
    }

    /// An output that was not kept is empty.
    pub(crate) fn stored(path: &Path) -> Result<Self, Error> {
        let text = match fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(Error::unavailable("The build's output cannot be read.").with_source(error));
            }
        };
        Ok(Self { source: Source::Stored(text), offset: 0 })
    }

    /// What has come since the last call, waiting for it at most so long.
    pub fn next(&mut self, at_most: Duration) -> Output {
        let chunk = match &self.source {
            Source::Stored(text) => chunk(text, self.offset).map_or(Output::End, Output::Text),
            Source::Live(live) => next_live(live, self.offset, at_most),
        };
        if let Output::Text(text) = &chunk {
            self.offset += text.len();
        }
        chunk
    }
}

fn next_live(live: &LiveOutput, offset: usize, at_most: Duration) -> Output {
    let seen = live.bell.rings();
    match look(live, offset) {
        Output::Quiet => {
            live.bell.wait_past(seen, at_most);
            look(live, offset)
        }
        found @ (Output::Text(_) | Output::End) => found,
    }
}

fn look(live: &LiveOutput, offset: usize) -> Output {
    let state = live.lock();
    match (chunk(&state.text, offset), &state.ended) {
        (Some(text), _) => Output::Text(text),
        (None, Some(_)) => Output::End,
        (None, None) => Output::Quiet,
    }
}

/// Whole lines as far as they fit.
fn chunk(text: &str, offset: usize) -> Option<String> {
    let rest = text.get(offset..).filter(|rest| !rest.is_empty())?;
    let part = cut(rest, CHUNK_BYTES);
    let whole_lines = part.rfind('\n').map_or(part, |end| &part[..=end]);
    Some(whole_lines.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(1);

    #[test]
    fn listeners_read_at_their_own_pace_and_the_file_keeps_it_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("id/output");
        let output = Arc::new(LiveOutput::new(&path));
        let mut early = OutputReader::live(output.clone());
        assert_eq!(early.next(SOON), Output::Quiet);
        output.line("one");
        assert_eq!(early.next(SOON), Output::Text("one\n".into()));
        output.line("zwei ü\r\n");
        output.end(BuildStatus::Superseded);
        output.end(BuildStatus::Running);
        assert_eq!(output.ended(), Some(BuildStatus::Superseded));
        assert_eq!([early.next(SOON), early.next(SOON)], [Output::Text("zwei ü\n".into()), Output::End]);
        let mut late = OutputReader::live(output);
        assert_eq!(late.next(SOON), Output::Text("one\nzwei ü\n".into()));
        let mut stored = OutputReader::stored(&path).unwrap();
        assert_eq!(stored.next(SOON), Output::Text("one\nzwei ü\n".into()));
        assert_eq!(stored.next(SOON), Output::End);
        assert_eq!(OutputReader::stored(&folder.path().join("none")).unwrap().next(SOON), Output::End);
    }

    #[test]
    fn a_flood_is_cut_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let output = Arc::new(LiveOutput::new(&folder.path().join("output")));
        let line = "ä".repeat(LINE_LIMIT_BYTES);
        for _ in 0..OUTPUT_LIMIT_BYTES / LINE_LIMIT_BYTES + 10 {
            output.line(&line);
        }
        output.end(BuildStatus::Superseded);
        let mut reader = OutputReader::live(output);
        let mut all = String::new();
        while let Output::Text(text) = reader.next(SOON) {
            assert!(text.len() <= CHUNK_BYTES && text.ends_with('\n'));
            all.push_str(&text);
        }
        assert!(all.len() < OUTPUT_LIMIT_BYTES + 100);
        assert!(all.ends_with("more lines of output were not kept\n"), "{}", &all[all.len() - 80..]);
    }
}
