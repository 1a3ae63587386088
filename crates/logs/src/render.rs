//! A line as text, exactly as Heroku writes it: `2025-08-08T06:58:53.550240+00:00 app[web.1]: message`.

use crate::line::Line;
use jiff::Timestamp;

/// Instant, source, name, text. Bytes that are not UTF-8 show as U+FFFD. Control characters stay, except newlines, which become
/// spaces: one line stays one line. The result has no newline at its end.
pub fn render(line: &Line) -> String {
    let instant = render_instant(line.wall_micros);
    let text = String::from_utf8_lossy(&line.text);
    let text = text.trim_end_matches('\n');
    let head = format!("{instant} {}[{}]: ", line.source.as_str(), line.name);
    if text.contains('\n') { head + &text.replace('\n', " ") } else { head + text }
}

/// Microseconds since 1970 as `2025-08-08T06:58:53.550240+00:00`.
pub fn render_instant(micros: u64) -> String {
    let instant = i64::try_from(micros).ok().and_then(|micros| Timestamp::from_microsecond(micros).ok());
    instant.unwrap_or(Timestamp::MAX).strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::{OrderKey, Source};
    use domain::ids::AppId;
    use domain::time::BootMillis;
    use journal::Stream;

    fn line(stream: Stream, name: &str, text: &[u8]) -> Line {
        Line {
            key: OrderKey::START,
            app: AppId::from_u128(1),
            process: None,
            source: Source::of(stream),
            stream,
            name: name.to_owned(),
            wall_micros: 1_754_636_333_550_240,
            boot: BootMillis(0),
            text: text.to_vec(),
        }
    }

    #[test]
    fn lines_in_herokus_form() {
        let cases: [(Stream, &str, &[u8], &str); 9] = [
            (Stream::Stdout, "web.1", b"message", "app[web.1]: message"),
            (Stream::Stderr, "worker.12", b"", "app[worker.12]: "),
            (
                Stream::Platform,
                "web.1",
                b"State changed from starting to up",
                "heroku[web.1]: State changed from starting to up",
            ),
            (Stream::Router, "router", b"at=info path=\"/\"", "heroku[router]: at=info path=\"/\""),
            (Stream::Api, "api", b"Build succeeded", "app[api]: Build succeeded"),
            (Stream::Stdout, "web.1", b"caf\xc3\xa9 \xff\xfe", "app[web.1]: caf\u{e9} \u{fffd}\u{fffd}"),
            (
                Stream::Stdout,
                "web.1",
                b"\x1b[31mred\x1b[0m\ttab\rback",
                "app[web.1]: \u{1b}[31mred\u{1b}[0m\ttab\rback",
            ),
            (Stream::Stdout, "web.1", b"one\ntwo\n", "app[web.1]: one two"),
            (Stream::Stdout, "run.4821", b"  indented", "app[run.4821]:   indented"),
        ];
        for (stream, name, text, expected) in cases {
            let expected = format!("2025-08-08T06:58:53.550240+00:00 {expected}");
            assert_eq!(render(&line(stream, name, text)), expected);
        }
    }

    #[test]
    fn instants() {
        assert_eq!(render_instant(0), "1970-01-01T00:00:00.000000+00:00");
        assert_eq!(render_instant(1_709_164_800_000_001), "2024-02-29T00:00:00.000001+00:00");
        assert_eq!(render_instant(u64::MAX).len(), render_instant(0).len());
    }
}
