//! What tells who a person is does not show unless it is asked for: addresses and user ids.

use serde_json::Value;

/// Stands in their place.
pub(crate) const REDACTED: &str = "[redacted]";

/// Names of fields that hold one, without case and underscores, wherever they stand.
const NAMES: [&str; 7] = [
    "userid",
    "clientip",
    "ip",
    "ipaddress",
    "email",
    "useremail",
    "anonymousid",
];

/// Removes them from a reject, or any part of one.
pub(crate) fn redact(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            redact_message(fields);
            for (name, value) in fields {
                if is_personal(name) && !value.is_null() {
                    *value = REDACTED.into();
                } else if matches!(name.as_str(), "base64" | "beginning") {
                    // Nobody can tell what stands there.
                    *value = REDACTED.into();
                } else {
                    redact(value);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(redact),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A message about such a field names its value.
fn redact_message(fields: &mut serde_json::Map<String, Value>) {
    if let Some(Value::String(message)) = fields.get_mut("message") {
        *message = redacted_message(message);
    }
}

/// A reject's message, which begins with its field: `user_id must be a string, but is …`.
pub(crate) fn redacted_message(message: &str) -> String {
    const VALUE: &str = "but is ";
    let field = message.split([' ', ':']).next().unwrap_or_default();
    match message.find(VALUE) {
        Some(at) if field.split('.').any(is_personal) => {
            format!("{}{REDACTED}", &message[..at + VALUE.len()])
        }
        _ => message.to_owned(),
    }
}

/// Whether a JSON pointer leads to one, or into one.
pub(crate) fn is_personal_path(pointer: &str) -> bool {
    pointer.split('/').any(is_personal)
}

fn is_personal(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(|letter| !matches!(letter, '_' | '-'))
        .flat_map(char::to_lowercase)
        .collect();
    NAMES.contains(&plain.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::redact;

    #[test]
    fn addresses_and_user_ids_go_wherever_they_stand() {
        let mut value = json!({
            "context": { "client_ip": "203.0.113.9", "user_id": "u", "user_agent": "x" },
            "original": { "json": { "userId": 7, "payload": [{ "IP": "::1", "x": 1 }], "zip": "12345" } },
            "problems": [
                { "field": "/user_id", "message": "user_id must be a string, but is 4711" },
                { "field": "/payload/x", "message": "x must be a string, but is 4711" }
            ]
        });
        redact(&mut value);
        assert_eq!(
            value,
            json!({
                "context": { "client_ip": "[redacted]", "user_id": "[redacted]", "user_agent": "x" },
                "original": { "json": { "userId": "[redacted]", "payload": [{ "IP": "[redacted]", "x": 1 }], "zip": "12345" } },
                "problems": [
                    { "field": "/user_id", "message": "user_id must be a string, but is [redacted]" },
                    { "field": "/payload/x", "message": "x must be a string, but is 4711" }
                ]
            })
        );
        let mut unreadable = json!({ "original": { "base64": "aGk=" } });
        redact(&mut unreadable);
        assert_eq!(unreadable, json!({ "original": { "base64": "[redacted]" } }));
    }
}
