//! Owns: the text of one `[token.NAME]`, so that a test states only what it is about.
//! Does not: know what is right; a test may write whatever it likes.

use std::fmt;

/// The text of one `[token.NAME]` with its tables.
#[derive(Clone)]
pub struct TokenText {
    name: String,
    algorithm: String,
    secret: String,
    lines: String,
    outputs: Option<String>,
    tables: String,
}

/// HS256, the sandbox's secret, delivered to `out/NAME.token`.
pub fn token(name: &str) -> TokenText {
    TokenText {
        name: name.into(),
        algorithm: "HS256".into(),
        secret: "secret.file = \"secret\"".into(),
        lines: String::new(),
        outputs: None,
        tables: String::new(),
    }
}

impl TokenText {
    pub fn algorithm(mut self, algorithm: &str) -> Self {
        self.algorithm = algorithm.into();
        self
    }

    /// The lines that name the credential, in the place of `secret.file`.
    pub fn secret(mut self, line: &str) -> Self {
        self.secret = line.into();
        self
    }

    /// One more line of its table.
    pub fn line(mut self, line: &str) -> Self {
        self.lines += &format!("{line}\n");
        self
    }

    /// One more output, in the place of the usual one.
    pub fn output(mut self, lines: &str) -> Self {
        let block = format!("[[token.{}.output]]\n{lines}\n", self.name);
        *self.outputs.get_or_insert_default() += &block;
        self
    }

    /// A bare token in `out/FILE`.
    pub fn plain(self, file: &str) -> Self {
        self.output(&format!("format = \"token\"\npath = \"out/{file}\""))
    }

    /// A line of the env file `out/FILE`.
    pub fn env(self, file: &str, variable: &str) -> Self {
        self.output(&format!("format = \"env\"\npath = \"out/{file}\"\nvariable = \"{variable}\""))
    }

    pub fn without_output(mut self) -> Self {
        self.outputs = Some(String::new());
        self
    }

    /// A hook table: `after_rotate` or `on_failure`.
    pub fn hook(mut self, kind: &str, lines: &str) -> Self {
        self.tables += &format!("[token.{}.{kind}]\n{lines}\n", self.name);
        self
    }
}

impl fmt::Display for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        writeln!(
            f,
            "[token.{name}]\nsource = \"jwt\"\nalgorithm = \"{}\"\nkey = \"key-{name}\"\n{}\n{}",
            self.algorithm, self.secret, self.lines
        )?;
        match &self.outputs {
            Some(outputs) => f.write_str(outputs)?,
            None => write!(f, "[[token.{name}.output]]\nformat = \"token\"\npath = \"out/{name}.token\"\n")?,
        }
        f.write_str(&self.tables)
    }
}
