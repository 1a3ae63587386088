//! Server-sent events, as far as log lines need them: `id:`, `data:`, `retry:` and comments. The format is that of the HTML
//! standard, section 9.2.

/// Most bytes of one line and of one event; longer ones are an error, so that a broken server cannot fill memory.
pub const MAX_EVENT: usize = 256 * 1024;

/// One event with data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// The last id that was given, by this event or an earlier one.
    pub id: Option<String>,
    /// The data lines joined by `\n`.
    pub data: String,
}

/// The stream sent more than [`MAX_EVENT`] bytes without an end of line or event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the server sent an event of more than {MAX_EVENT} bytes")]
pub struct EventTooLong;

/// Takes lines and gives events.
#[derive(Debug, Default)]
pub struct Parser {
    last_id: Option<String>,
    data: Option<String>,
    retry_millis: Option<u64>,
}

impl Parser {
    /// Takes one line without its end. Gives the event that an empty line completes.
    ///
    /// # Errors
    /// The event is too long.
    pub fn line(&mut self, line: &str) -> Result<Option<Event>, EventTooLong> {
        if line.is_empty() {
            return Ok(self.data.take().map(|data| Event { id: self.last_id.clone(), data }));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => self.add_data(value)?,
            "id" if !value.contains('\0') => self.last_id = Some(value.to_owned()),
            "retry" => self.retry_millis = value.parse().ok().or(self.retry_millis),
            // Comments (an empty field), other event types and unknown fields.
            _ => {}
        }
        Ok(None)
    }

    fn add_data(&mut self, value: &str) -> Result<(), EventTooLong> {
        let longer = match self.data.take() {
            None => value.to_owned(),
            Some(data) => data + "\n" + value,
        };
        if longer.len() > MAX_EVENT {
            return Err(EventTooLong);
        }
        self.data = Some(longer);
        Ok(())
    }

    /// The id to go on after, for the `Last-Event-ID` header.
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// How long the server wants a client to wait before it comes again.
    pub const fn retry_millis(&self) -> Option<u64> {
        self.retry_millis
    }
}

/// Appends an event: every line of the data under a `data:` of its own. A carriage return ends a line, too, since it does for those
/// who read the stream.
pub fn render_event(id: &str, data: &str, into: &mut String) {
    into.push_str("id: ");
    into.push_str(id);
    into.push('\n');
    for line in data.replace("\r\n", "\n").split(['\n', '\r']) {
        into.push_str("data: ");
        into.push_str(line);
        into.push('\n');
    }
    into.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Vec<Event> {
        let mut parser = Parser::default();
        text.lines().filter_map(|line| parser.line(line).expect("short")).collect()
    }

    #[test]
    fn reads_events() {
        let text =
            ": hello\n\nid: 7\ndata: a\ndata: b\n\nevent: x\ndata:c\nretry: 10\n\nid: 8\n\ndata: cut off";
        let event = |id: &str, data: &str| Event { id: Some(id.to_owned()), data: data.to_owned() };
        assert_eq!(parse(text), [event("7", "a\nb"), event("7", "c")]);
    }

    #[test]
    fn remembers_id_and_retry() {
        let mut parser = Parser::default();
        for line in ["id: 8", "retry: 10", "retry: soon"] {
            assert_eq!(parser.line(line), Ok(None));
        }
        assert_eq!((parser.last_id(), parser.retry_millis()), (Some("8"), Some(10)));
    }

    #[test]
    fn refuses_endless_events() {
        let mut parser = Parser::default();
        let line = format!("data: {}", "x".repeat(MAX_EVENT / 2));
        assert_eq!(parser.line(&line), Ok(None));
        assert_eq!(parser.line(&line), Err(EventTooLong));
    }

    #[test]
    fn carriage_returns_break_no_event() {
        let mut text = String::new();
        render_event("7", "50 %\r100 %\r\ndone", &mut text);
        assert_eq!(text, "id: 7\ndata: 50 %\ndata: 100 %\ndata: done\n\n");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(id in "[a-z0-9-]{1,20}", data in "[^\r\0]{0,60}") {
            let mut text = String::new();
            render_event(&id, &data, &mut text);
            let events: Vec<_> = {
                let mut parser = Parser::default();
                text.split('\n').filter_map(|line| parser.line(line).expect("short")).collect()
            };
            prop_assert_eq!(events, vec![Event { id: Some(id), data }]);
        }
    }
}
