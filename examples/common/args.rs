#![allow(dead_code)] // each example uses a part
//! The command line.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fmt::Display,
    path::{Path, PathBuf},
    str::FromStr,
};

use lexopt::Arg;

/// What an example accepts, besides `--json` and `--help`.
pub(crate) struct Usage {
    pub(crate) text: &'static str,
    /// The names of the options without a value.
    pub(crate) flags: &'static [&'static str],
    /// The names of the options with a value.
    pub(crate) options: &'static [&'static str],
    /// How many files there may be.
    pub(crate) files: usize,
}

/// The arguments as they were given.
pub(crate) struct Args {
    pub(crate) json: bool,
    files: Vec<PathBuf>,
    flags: BTreeSet<&'static str>,
    values: BTreeMap<&'static str, OsString>,
}

/// A wrong argument: which, and what is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ArgError(pub(crate) String);

impl From<lexopt::Error> for ArgError {
    fn from(error: lexopt::Error) -> Self {
        Self(error.to_string())
    }
}

impl Args {
    /// `None` when help is asked for.
    pub(crate) fn parse(usage: &Usage) -> Result<Option<Self>, ArgError> {
        let mut args =
            Self { json: false, files: Vec::new(), flags: BTreeSet::new(), values: BTreeMap::new() };
        let mut parser = lexopt::Parser::from_env();
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Long("json") => args.json = true,
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                Arg::Long(name) => {
                    if let Some(flag) = usage.flags.iter().find(|flag| **flag == name) {
                        args.flags.insert(flag);
                        continue;
                    }
                    let Some(name) = usage.options.iter().find(|option| **option == name) else {
                        return Err(arg.unexpected().into());
                    };
                    if args.values.insert(name, parser.value()?).is_some() {
                        return Err(ArgError(format!("--{name} is given twice")));
                    }
                }
                Arg::Value(file) if args.files.len() < usage.files => args.files.push(file.into()),
                _ => return Err(arg.unexpected().into()),
            }
        }
        Ok(Some(args))
    }

    /// The file at this place, the first is 0.
    pub(crate) fn file(&self, index: usize) -> Option<&Path> {
        self.files.get(index).map(PathBuf::as_path)
    }

    /// The value of an option that is a path.
    pub(crate) fn path(&self, option: &str) -> Option<&Path> {
        self.values.get(option).map(Path::new)
    }

    /// Whether this option without a value is given.
    pub(crate) fn flag(&self, flag: &str) -> bool {
        self.flags.contains(flag)
    }

    /// The value of an option, or `default` where it is not given.
    pub(crate) fn get<T: FromStr<Err: Display>>(&self, option: &str, default: T) -> Result<T, ArgError> {
        Ok(self.value(option)?.unwrap_or(default))
    }

    /// What the value of an option names; the first of `names`, where it is not given.
    pub(crate) fn one_of<T: Copy>(&self, option: &str, names: &[(&str, T)]) -> Result<T, ArgError> {
        let given: String = self.get(option, names[0].0.to_owned())?;
        let found = names.iter().find(|(name, _)| *name == given);
        let all = || names.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        found
            .map(|(_, value)| *value)
            .ok_or_else(|| ArgError(format!("--{option} `{given}`: one of {}", all())))
    }

    /// The value of an option that may be absent.
    pub(crate) fn value<T: FromStr<Err: Display>>(&self, option: &str) -> Result<Option<T>, ArgError> {
        let Some(value) = self.values.get(option) else { return Ok(None) };
        let wrong = |what: &dyn Display| ArgError(format!("--{option} `{}`: {what}", value.display()));
        let text = value.to_str().ok_or_else(|| wrong(&"not UTF-8"))?;
        text.parse().map(Some).map_err(|error| wrong(&error))
    }
}
