//! Reads JSON values of any kind into the few forms that calls need: one that does not fit is none, and no error.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::base::bounds::{is_call_time, is_rounds};
use crate::base::float;

/// A form that any value can be read into; what it does not know leaves it at its default.
pub(super) trait Lenient: Default {
    /// From a text.
    fn of_text(_: &str) -> Self {
        Self::default()
    }

    /// From a number.
    fn of_number(_: f64) -> Self {
        Self::default()
    }

    /// From `true` or `false`.
    fn of_truth(_: bool) -> Self {
        Self::default()
    }

    /// From a list, which must be read to its end.
    fn of_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }

    /// From an object, which must be read to its end.
    fn of_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::default())
    }
}

/// Asks a parser for the next value in this form.
pub(super) struct As<L>(PhantomData<L>);

impl<L> As<L> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'de, L: Lenient> DeserializeSeed<'de> for As<L> {
    type Value = L;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<L, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, L: Lenient> Visitor<'de> for As<L> {
    type Value = L;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<L, E> {
        Ok(L::of_truth(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds below 2^52")]
    fn visit_i64<E>(self, value: i64) -> Result<L, E> {
        Ok(L::of_number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<L, E> {
        Ok(L::of_number(float(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<L, E> {
        Ok(L::of_number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<L, E> {
        Ok(L::of_text(value))
    }

    fn visit_unit<E>(self) -> Result<L, E> {
        Ok(L::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<L, A::Error> {
        L::of_list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<L, A::Error> {
        L::of_object(object)
    }
}

/// A text; none where it is something else.
#[derive(Debug, Default)]
pub(super) struct Word(pub(super) Option<String>);

impl Lenient for Word {
    fn of_text(text: &str) -> Self {
        Self(Some(text.to_owned()))
    }
}

/// A number.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum Number {
    /// The key is not there, or holds nothing (`null`, and what Python writes for no number).
    #[default]
    Absent,
    /// This one.
    Is(f64),
    /// Something that is no number.
    Odd,
}

impl Number {
    /// The number, if it is one.
    pub(super) fn get(self) -> Option<f64> {
        match self {
            Self::Is(number) => Some(number),
            Self::Absent | Self::Odd => None,
        }
    }

    /// The number, if it can be a call's time in milliseconds.
    pub(super) fn call_time(self) -> Option<f64> {
        self.get().filter(|ms| is_call_time(*ms))
    }

    /// The number, if it can be one of rounds or tries.
    pub(super) fn rounds(self) -> Option<f64> {
        self.get().filter(|count| is_rounds(*count))
    }
}

impl Lenient for Number {
    fn of_text(_: &str) -> Self {
        Self::Odd
    }

    fn of_number(number: f64) -> Self {
        Self::Is(number)
    }

    fn of_truth(_: bool) -> Self {
        Self::Odd
    }

    fn of_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::Odd)
    }

    fn of_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::Odd)
    }
}

/// Whether something is said: anything but `null`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Said(pub(super) bool);

impl Lenient for Said {
    fn of_text(_: &str) -> Self {
        Self(true)
    }

    fn of_number(_: f64) -> Self {
        Self(true)
    }

    fn of_truth(_: bool) -> Self {
        Self(true)
    }

    fn of_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self(true))
    }

    fn of_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Self, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self(true))
    }
}
