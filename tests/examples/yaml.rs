//! YAML as JSON, apart from orch's own reader.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// What a YAML text means as JSON: enough of YAML 1.2 for the examples, apart from orch's own reader so
/// that the two are held against each other.
pub(crate) fn json_of(text: &str) -> Value {
    let mut parser = Parser::new_from_str(text);
    let mut open: Vec<(Value, Option<String>, usize)> = Vec::new();
    let mut anchors: HashMap<usize, Value> = HashMap::new();
    let mut root = Value::Null;
    while let Some(next) = parser.next_event() {
        let (event, _) = next.unwrap();
        let (value, anchor) = match event {
            Event::SequenceStart(anchor, _) => {
                open.push((Value::Array(Vec::new()), None, anchor));
                continue;
            }
            Event::MappingStart(anchor, _) => {
                open.push((Value::Object(Map::new()), None, anchor));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (value, _, anchor) = open.pop().unwrap();
                (value, anchor)
            }
            Event::Scalar(text, style, anchor, _) => (scalar(&text, style), anchor),
            Event::Alias(anchor) => (anchors[&anchor].clone(), 0),
            _ => continue,
        };
        if anchor > 0 {
            anchors.insert(anchor, value.clone());
        }
        match open.last_mut() {
            None => root = value,
            Some((Value::Array(list), ..)) => list.push(value),
            Some((Value::Object(map), key, _)) => match key.take() {
                None => *key = Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
                Some(key) if key == "<<" => {
                    for (name, inherited) in value.as_object().unwrap() {
                        map.entry(name.clone()).or_insert_with(|| inherited.clone());
                    }
                }
                Some(key) => drop(map.insert(key, value)),
            },
            Some(_) => unreachable!("only collections are open"),
        }
    }
    root
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    match text {
        _ if style != ScalarStyle::Plain => Value::from(text),
        "" | "~" | "null" => Value::Null,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        _ => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(number), _) => Value::from(number),
            (_, Ok(number)) => Value::from(number),
            _ => Value::from(text),
        },
    }
}
