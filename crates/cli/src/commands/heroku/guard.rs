//! What every program on Node.js that `dozen heroku` starts runs first: the client itself and whatever it starts.
//!
//! Some of them know hosts of Heroku's and heed no proxy, and all of them have the token in their environment.

/// The module, before it knows the server.
const GUARD: &str = include_str!("guard.cjs");

/// The module for one server.
pub fn render(host: &str, port: u16) -> String {
    let host = host.trim_matches(['[', ']']);
    format!("const server = {};\n{GUARD}", serde_json::json!({ "host": host, "port": port }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_with_the_server() {
        let text = render("[2001:db8::1]", 8443);
        assert!(text.starts_with("const server = {\"host\":\"2001:db8::1\",\"port\":8443};\n"), "{text}");
    }
}
