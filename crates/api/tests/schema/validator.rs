//! A validator for the part of JSON Schema that the published API schema uses (draft 4, `strictProperties` included: with it an
//! object has all the properties named and no others), and our own description of the API (draft 2020-12).

use regex_lite::Regex;
use serde_json::Value;

/// The whole schema document, in which references are looked up.
pub struct Schema {
    root: Value,
    /// Whether an object has no properties but those that are named.
    closed: bool,
}

impl Schema {
    pub fn new(root: Value) -> Self {
        Self { root, closed: false }
    }

    /// One whose objects have no properties but those that are named, unless it says of what form others are.
    #[allow(dead_code, reason = "of two test programs that share this file, one asks")]
    pub fn closed(root: Value) -> Self {
        Self { root, closed: true }
    }

    /// The schema of what a request answers, by its method and path (`/apps/{}` for a path with a parameter).
    #[allow(dead_code, reason = "of two test programs that share this file, one asks")]
    pub fn target(&self, method: &str, href: &str) -> &Value {
        self.find_target(method, href).unwrap_or_else(|| panic!("the schema has no {method} {href}"))
    }

    /// The same; `None`: no such link. A link without a schema of its answer has `Null`.
    pub fn find_target(&self, method: &str, href: &str) -> Option<&Value> {
        let is_it = |link: &&Value| link["method"] == method && plain_href(&link["href"]) == href;
        self.all_links().find(is_it).map(|link| &link["targetSchema"])
    }

    /// Method and path of every link.
    #[allow(dead_code, reason = "of two test programs that share this file, one asks")]
    pub fn links(&self) -> impl Iterator<Item = (String, String)> {
        let text = |value: &Value| value.as_str().expect("a link has text").to_owned();
        self.all_links().map(move |link| (text(&link["method"]), plain_href(&link["href"])))
    }

    fn all_links(&self) -> impl Iterator<Item = &Value> {
        let definitions = self.root["definitions"].as_object().expect("definitions");
        definitions.values().flat_map(|noun| noun["links"].as_array().into_iter().flatten())
    }

    /// What is wrong with a value, each with the place.
    pub fn errors(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut errors = Vec::new();
        self.check(schema, value, "", &mut errors);
        errors
    }

    fn check(&self, schema: &Value, value: &Value, place: &str, errors: &mut Vec<String>) {
        if let Some(reference) = schema["$ref"].as_str() {
            let target = self
                .root
                .pointer(reference.trim_start_matches('#'))
                .unwrap_or_else(|| panic!("no {reference}"));
            return self.check(target, value, place, errors);
        }
        if let Some(choices) = schema["anyOf"].as_array() {
            let fits = choices.iter().any(|choice| self.errors(choice, value).is_empty());
            if !fits {
                errors.push(format!("{place}: {value} fits none of the choices"));
            }
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            let fitting = choices.iter().filter(|choice| self.errors(choice, value).is_empty()).count();
            if fitting != 1 {
                errors.push(format!("{place}: {value} fits {fitting} of the choices and not one"));
            }
        }
        if let Some(only) = schema.get("const").filter(|only| *only != value) {
            errors.push(format!("{place}: {value} is not {only}"));
        }
        check_type(schema, value, place, errors);
        check_text(schema, value, place, errors);
        if let Some(allowed) = schema["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
            errors.push(format!("{place}: {value} is none of {allowed:?}"));
        }
        if let (Some(minimum), Some(number)) = (schema["minimum"].as_f64(), value.as_f64())
            && number < minimum
        {
            errors.push(format!("{place}: {number} is less than {minimum}"));
        }
        if let (Some(maximum), Some(number)) = (schema["maximum"].as_f64(), value.as_f64())
            && number > maximum
        {
            errors.push(format!("{place}: {number} is more than {maximum}"));
        }
        self.check_items(schema, value, place, errors);
        self.check_properties(schema, value, place, errors);
    }

    fn check_items(&self, schema: &Value, value: &Value, place: &str, errors: &mut Vec<String>) {
        let (Some(item), Some(values)) = (schema.get("items"), value.as_array()) else { return };
        for (index, value) in values.iter().enumerate() {
            self.check(item, value, &format!("{place}[{index}]"), errors);
        }
    }

    fn check_properties(&self, schema: &Value, value: &Value, place: &str, errors: &mut Vec<String>) {
        let Some(object) = value.as_object() else { return };
        let empty = serde_json::Map::new();
        let named = schema["properties"].as_object().unwrap_or(&empty);
        let patterns = schema["patternProperties"].as_object().unwrap_or(&empty);
        let strict = schema["strictProperties"] == true;
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let wanted = required.map(str::to_owned).chain(named.keys().filter(|_| strict).cloned());
        errors.extend(
            wanted.filter(|key| !object.contains_key(key)).map(|key| format!("{place}.{key}: is missing")),
        );
        let others = schema.get("additionalProperties").filter(|others| others.is_object());
        // A choice's own objects are closed, the place of the choice is not.
        let described = self.closed && schema["type"] == "object" && others.is_none();
        let closed = strict || described || schema["additionalProperties"] == false;
        for (key, value) in object {
            let place = format!("{place}.{key}");
            let mut fitting = patterns.iter().filter(|(pattern, _)| regex(pattern).is_match(key)).peekable();
            match named.get(key) {
                Some(schema) => self.check(schema, value, &place, errors),
                None if fitting.peek().is_none() && closed => {
                    errors.push(format!("{place}: is unknown to the schema"))
                }
                None if fitting.peek().is_none() => {
                    others.into_iter().for_each(|schema| self.check(schema, value, &place, errors))
                }
                None => fitting.for_each(|(_, schema)| self.check(schema, value, &place, errors)),
            }
        }
    }
}

/// `/apps/{(%23...)}/dynos` as `/apps/{}/dynos`.
fn plain_href(href: &Value) -> String {
    let braces = Regex::new(r"\{[^}]*\}").expect("valid");
    braces.replace_all(href.as_str().expect("an href is text"), "{}").into_owned()
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern)
        .unwrap_or_else(|error| panic!("the pattern {pattern} is beyond this validator: {error}"))
}

fn check_type(schema: &Value, value: &Value, place: &str, errors: &mut Vec<String>) {
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return,
    };
    let fits = |kind: &&str| match *kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the type {other} is beyond this validator"),
    };
    if !types.iter().any(fits) {
        errors.push(format!("{place}: {value} is not {}", types.join(" or ")));
    }
}

fn check_text(schema: &Value, value: &Value, place: &str, errors: &mut Vec<String>) {
    let Some(text) = value.as_str() else { return };
    if let Some(pattern) = schema["pattern"].as_str().filter(|pattern| !regex(pattern).is_match(text)) {
        errors.push(format!("{place}: {text:?} does not match {pattern}"));
    }
    let form = match schema["format"].as_str() {
        None => return,
        Some("uuid") => r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        Some("date-time") => r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$",
        Some("email") => r"^[^@\s]+@[^@\s]+$",
        Some("uri") => r"^[a-z][a-z0-9+.-]*:\S+$",
        Some(other) => panic!("the format {other} is beyond this validator"),
    };
    if !regex(form).is_match(text) {
        errors.push(format!("{place}: {text:?} is no {}", schema["format"]));
    }
}
