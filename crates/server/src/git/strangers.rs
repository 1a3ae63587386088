//! See [`crate::strangers`].

use super::command::protocol;
use super::pkt::shallow_advice;
use super::updates::parse_update;
use super::wire;

pub fn read_all(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(Some(message)) = wire::read(&mut rest) {
        let again = message.clone().encode();
        assert_eq!(wire::read(&mut again.as_slice()).ok().flatten(), Some(message));
    }
    let _advice = shallow_advice(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for line in text.lines() {
        if let Ok(update) = parse_update(line) {
            assert!(!update.name.is_empty() && !update.name.contains(char::is_control));
        }
        let _version = protocol(line);
    }
}
