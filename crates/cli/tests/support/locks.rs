//! Lock files, changed as people's tools change them.

/// A `requirements.txt` with hashes without one package, and that package alone.
pub fn split_requirement(text: &str, name: &str) -> (String, String) {
    let (mut others, mut one) = (String::new(), String::new());
    let mut is_it = false;
    for line in text.lines() {
        let begins = !line.starts_with(' ');
        is_it = if begins { line.starts_with(&format!("{name}==")) } else { is_it };
        let part = if is_it { &mut one } else { &mut others };
        part.push_str(line);
        part.push('\n');
    }
    (others, one)
}
