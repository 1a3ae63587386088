//! Git's packet lines, as far as we write them ourselves.

/// The form of a line: four hexadecimal digits of length, themselves included.
fn line(payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{:04x}", payload.len() + 4).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

const FLUSH: &[u8] = b"0000";

/// What precedes a child's advertisement of refs.
pub fn service_header(service: &str) -> Vec<u8> {
    let mut bytes = line(format!("# service={service}\n").as_bytes());
    bytes.extend_from_slice(FLUSH);
    bytes
}

/// Text on side band 2, which a client prints after `remote: `.
fn progress(text: &str) -> Vec<u8> {
    line(&[b"\x02", text.as_bytes()].concat())
}

/// A word of advice for a push from a shallow clone, to be put before git's own answer. Git refuses such a push without saying
/// what to do if the clone's edge is unknown here; if it is known, the push passes.
pub fn shallow_advice(request: &[u8]) -> Option<Vec<u8>> {
    let shallow = request.get(4..12) == Some(b"shallow ");
    let side_band = request.windows(SIDE_BAND.len()).any(|window| window == SIDE_BAND);
    (shallow && side_band).then(|| progress(SHALLOW_ADVICE))
}

const SIDE_BAND: &[u8] = b" side-band-64k";
const SHALLOW_ADVICE: &str = "This is a push from a shallow clone. If it is refused with \"shallow update not allowed\", fetch the \
    rest of the history with `git fetch --unshallow` and push again.\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_state_their_length() {
        assert_eq!(service_header("git-upload-pack"), b"001e# service=git-upload-pack\n0000");
        assert_eq!(progress("hi\n"), b"0008\x02hi\n");
    }

    #[test]
    fn only_shallow_clones_get_advice() {
        let with = |first: &str| {
            format!("0035{first} 00c1x y refs/heads/main\0 report-status side-band-64k agent=x")
        };
        assert!(shallow_advice(with("shallow 1234").as_bytes()).is_some());
        assert!(shallow_advice(with("0000").as_bytes()).is_none());
        assert!(shallow_advice(b"0035shallow 1234").is_none(), "no side band");
        assert!(shallow_advice(b"").is_none());
    }
}
