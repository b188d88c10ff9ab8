//! `set`: a variable's value.

use std::rc::Rc;

use super::rule::escaped;
use crate::config::{Mistake, Use};
use crate::exchange::{Exchange, Setter, Template};

/// One `set`.
pub struct Assignment {
    variable: Variable,
    value: Template,
}

/// What is set.
enum Variable {
    /// One the configuration defines.
    Slot(usize),
    /// One the server knows and lets be set, such as `$args`.
    BuiltIn(Setter),
}

impl Assignment {
    /// Reads the arguments: variable and value.
    ///
    /// # Errors
    /// `invalid variable name`, or the variable can't be set.
    pub fn parse(d: &Use<'_>) -> Result<Rc<Assignment>, Mistake> {
        let name = d.text(0)?.strip_prefix('$');
        let name = name.filter(|name| !name.is_empty());
        let invalid = || d.mistake(0, format!("invalid variable name \"{}\"", d.lossy(0)));
        let name = name.ok_or_else(invalid)?;
        let variable = match d.setter(name) {
            Some(setter) => Variable::BuiltIn(setter),
            None => Variable::Slot(d.slot(0, name)?),
        };
        let value = d.template(1)?;
        Ok(Rc::new(Assignment { variable, value }))
    }

    /// Sets the variable; with `escape`, captures are escaped as the path was.
    pub fn perform(&self, escape: bool, exchange: &mut Exchange) {
        match (&self.variable, self.value.shared()) {
            (Variable::Slot(slot), Some(text)) => exchange.set_slot(*slot, Some(text)),
            (Variable::Slot(slot), None) => {
                let value = evaluate(&self.value, escape, exchange);
                exchange.set_slot(*slot, Some(value.into()));
            }
            (Variable::BuiltIn(set), _) => {
                let value = evaluate(&self.value, escape, exchange);
                set(exchange, &value);
            }
        }
    }
}

/// A value; with `escape`, captures are escaped as the path was.
pub fn evaluate(value: &Template, escape: bool, exchange: &Exchange) -> Vec<u8> {
    match escape {
        true => escaped(value, exchange),
        false => value.expand(exchange).into_owned(),
    }
}
