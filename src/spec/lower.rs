//! Tree to [`ClusterSpec`]: the plain structs that everything else reads.

use serde::Deserialize;
use serde_json::{Map, Number, Value};

use super::ClusterSpec;
use super::scalar::{Core, core};
use super::shape::{Shape, TextRule};
use super::tree::{Kind, Node, Scalar};
use crate::base::FieldPath;
use crate::diag::{Code, Diagnostic, Place};

/// The structs of a tree that has the right shape.
///
/// # Errors
/// What the structs refuse although the shape is right.
pub(super) fn lower(shape: &Shape, root: &Node) -> Result<ClusterSpec, Box<Diagnostic>> {
    let value = value(shape, root);
    let mut track = serde_path_to_error::Track::new();
    let deserializer = serde_path_to_error::Deserializer::new(value, &mut track);
    ClusterSpec::deserialize(deserializer).map_err(|error| {
        let path = field_path(&track.path());
        let title = format!("`{path}` is not accepted: {error}");
        Box::new(Diagnostic::error(Code("E0131"), title).at(Place::Value(path), "here"))
    })
}

fn field_path(path: &serde_path_to_error::Path) -> FieldPath {
    use serde_path_to_error::Segment;
    path.iter()
        .fold(FieldPath::root(), |path, segment| match segment {
            Segment::Seq { index } => path.index(*index),
            Segment::Map { key } | Segment::Enum { variant: key } => path.key(key.clone()),
            Segment::Unknown => path,
        })
}

/// The JSON value of a node; texts keep what was written, everything else means what YAML says.
pub(super) fn value(shape: &Shape, node: &Node) -> Value {
    match (shape, &node.kind) {
        (Shape::OneOf(forms), _) => match Shape::of_node(forms, node) {
            Some(form) => value(form, node),
            None => value(&Shape::Any, node),
        },
        (_, Kind::Scalar(scalar)) => self::scalar(shape, scalar),
        (_, Kind::Seq(items)) => {
            let item_shape = match shape {
                Shape::List { item, .. } => item,
                _ => &Shape::Any,
            };
            Value::Array(items.iter().map(|item| value(item_shape, item)).collect())
        }
        (_, Kind::Map(entries)) => {
            let entry = |key: &str| match shape {
                Shape::Dict { value, .. } => value,
                Shape::Record(record) => record
                    .fields
                    .get(key)
                    .map_or(&Shape::Any, |field| &field.shape),
                _ => &Shape::Any,
            };
            let map: Map<String, Value> = entries
                .iter()
                .map(|item| (item.key.clone(), value(entry(&item.key), &item.value)))
                .collect();
            Value::Object(map)
        }
    }
}

fn scalar(shape: &Shape, scalar: &Scalar) -> Value {
    let is_text = !scalar.plain
        || matches!(
            shape,
            Shape::Words(_) | Shape::Text(TextRule::AsWritten | TextRule::Duration)
        );
    if is_text {
        return Value::String(scalar.text.clone());
    }
    match core(&scalar.text) {
        Core::Null => Value::Null,
        Core::Bool(truth) => Value::Bool(truth),
        Core::Integer(number) => integer(number),
        Core::Float(number) => Number::from_f64(number).map_or(Value::Null, Value::Number),
        Core::Text => Value::String(scalar.text.clone()),
    }
}

fn integer(number: i128) -> Value {
    if let Ok(number) = u64::try_from(number) {
        return Value::from(number);
    }
    if let Ok(number) = i64::try_from(number) {
        return Value::from(number);
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "JSON has no larger whole numbers"
    )]
    Value::from(number as f64)
}
