//! Which build of the program a process runs: the id that the linker made of its contents and put into it. Two programs with the same
//! id are the same program, wherever their files lie.

use std::ffi::{c_int, c_void};

/// For a program that was linked without one: such builds cannot be told apart.
const UNKNOWN: &str = "unknown";
/// The type and the owner of the note that holds it (`elf.h`).
const NOTE_TYPE: u32 = 3;
const NOTE_OWNER: &[u8] = b"GNU\0";
/// Fields and names of notes are padded to this.
const NOTE_ALIGNMENT: usize = 4;

/// The build that this process runs.
pub fn own() -> String {
    let mut found: Option<String> = None;
    // SAFETY: the callback gets back the pointer to `found`, which lives across the call, and nothing keeps it.
    unsafe { libc::dl_iterate_phdr(Some(look_at_program), (&raw mut found).cast()) };
    found.unwrap_or_else(|| UNKNOWN.to_owned())
}

/// Called for the program first, then for each library: ends after the program.
unsafe extern "C" fn look_at_program(
    info: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    found: *mut c_void,
) -> c_int {
    // SAFETY: valid for the call, as the C library promises; `found` is what `own` passed.
    let (info, found) = unsafe { (&*info, &mut *found.cast::<Option<String>>()) };
    // SAFETY: the C library gives the table and its length.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    for header in headers.iter().filter(|header| header.p_type == libc::PT_NOTE) {
        let Ok(length) = usize::try_from(header.p_memsz) else { continue };
        let start = info.dlpi_addr.wrapping_add(header.p_vaddr) as *const u8;
        // SAFETY: notes lie in a segment of the program that is mapped, readable and never changed.
        let notes = unsafe { std::slice::from_raw_parts(start, length) };
        *found = found.take().or_else(|| parse_build_id(notes));
    }
    1
}

/// The id among the notes of a program, in hexadecimal digits.
fn parse_build_id(mut notes: &[u8]) -> Option<String> {
    let number = |bytes: &[u8], at: usize| {
        bytes.get(at..at + 4)?.try_into().ok().map(|word: [u8; 4]| u32::from_ne_bytes(word))
    };
    loop {
        let owner_bytes = usize::try_from(number(notes, 0)?).ok()?;
        let content_bytes = usize::try_from(number(notes, 4)?).ok()?;
        let kind = number(notes, 8)?;
        let rest = notes.get(12..)?;
        let content_at = owner_bytes.checked_next_multiple_of(NOTE_ALIGNMENT)?;
        let content = rest.get(content_at..content_at.checked_add(content_bytes)?)?;
        if kind == NOTE_TYPE && rest.get(..owner_bytes) == Some(NOTE_OWNER) && !content.is_empty() {
            return Some(content.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        notes = rest.get(content_at + content_bytes.checked_next_multiple_of(NOTE_ALIGNMENT)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn note(owner: &[u8], kind: u32, content: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in [owner.len() as u32, content.len() as u32, kind] {
            bytes.extend(number.to_ne_bytes());
        }
        for part in [owner, content] {
            bytes.extend(part);
            bytes.resize(bytes.len().next_multiple_of(NOTE_ALIGNMENT), 0);
        }
        bytes
    }

    #[test]
    fn found_among_other_notes() {
        let other = note(b"GNU\0", 1, &[0; 16]);
        let id = note(b"GNU\0", NOTE_TYPE, &[0xab, 1, 0xff]);
        assert_eq!(parse_build_id(&[other.clone(), id].concat()).as_deref(), Some("ab01ff"));
        assert_eq!(parse_build_id(&other), None);
        assert_eq!(parse_build_id(&note(b"FDO\0", NOTE_TYPE, &[1])), None);
    }

    #[test]
    fn this_program_has_one() {
        let own = own();
        assert!(own.len() >= 16 && own.bytes().all(|byte| byte.is_ascii_hexdigit()), "{own}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_build_id(&bytes);
        }
    }
}
