//! Thresholds in the file: a table for each rule. Read value by value, so that an error is told at the
//! line of what is wrong.

use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::program::setting::Setting;

/// What is read of each entry of a table, by its key.
trait Entries {
    fn read<'de, A: MapAccess<'de>>(
        &self,
        key: String,
        map: &mut A,
        into: &mut Vec<Setting>,
    ) -> Result<(), A::Error>;
}

/// The tables of all rules.
struct Rules;

impl Entries for Rules {
    fn read<'de, A: MapAccess<'de>>(
        &self,
        rule: String,
        map: &mut A,
        into: &mut Vec<Setting>,
    ) -> Result<(), A::Error> {
        map.next_value_seed(Table(Rule { rule }, into))
    }
}

/// The table of one rule.
struct Rule {
    rule: String,
}

impl Entries for Rule {
    fn read<'de, A: MapAccess<'de>>(
        &self,
        name: String,
        map: &mut A,
        into: &mut Vec<Setting>,
    ) -> Result<(), A::Error> {
        into.push(map.next_value_seed(Value { rule: &self.rule, name })?);
        Ok(())
    }
}

struct Table<'a, E>(E, &'a mut Vec<Setting>);

impl<'de, E: Entries> DeserializeSeed<'de> for Table<'_, E> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de, E: Entries> Visitor<'de> for Table<'_, E> {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a table like [threshold.fd-leak] with silence-seconds = 5")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key()? {
            self.0.read(key, &mut map, self.1)?;
        }
        Ok(())
    }
}

struct Value<'a> {
    rule: &'a str,
    name: String,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Setting;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Setting, D::Error> {
        Setting::new(self.rule, &self.name, f64::deserialize(from)?).map_err(D::Error::custom)
    }
}

/// Reads all tables.
pub(super) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<Setting>>, D::Error> {
    let mut settings = Vec::new();
    Table(Rules, &mut settings).deserialize(from)?;
    Ok(Some(settings))
}
