//! Scalar programs: what an elementwise chain computes for one element.
//!
//! `sin(x) ** 2 + y` is one [`Program`] with two inputs and three steps. Joining
//! programs is how elementwise expressions fuse; equal steps are kept once. A
//! program knows dtypes and nothing of shapes or blocks; `evaluate` runs it over
//! tiles of elements.

use crate::dtype::{Constant, DType};
use crate::kernel::map::Group;
use oxidask_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt::Write as _;

/// Defines the instructions and the list of them, which so cannot differ.
macro_rules! funcs {
    ($($name:ident,)*) => {
        /// A scalar instruction.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "the names are NumPy's")]
        pub enum Func {
            $($name,)*
        }

        impl Func {
            /// All of them, in the order of their definition.
            pub const ALL: &'static [Func] = &[$(Func::$name,)*];
        }
    };
}

funcs! {
    Add,
    Subtract,
    Multiply,
    FloorDivide,
    Remainder,
    Fmod,
    Power,
    Maximum,
    Minimum,
    Fmax,
    Fmin,
    Divide,
    Copysign,
    Arctan2,
    Hypot,
    Logaddexp,
    BitAnd,
    BitOr,
    BitXor,
    LeftShift,
    RightShift,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Negative,
    Absolute,
    Sign,
    Conjugate,
    Square,
    RealPart,
    ImagPart,
    Magnitude,
    Invert,
    Sqrt,
    Reciprocal,
    Exp,
    Exp2,
    Expm1,
    Log,
    Log2,
    Log10,
    Log1p,
    Cbrt,
    Sin,
    Cos,
    Tan,
    Arcsin,
    Arccos,
    Arctan,
    Sinh,
    Cosh,
    Tanh,
    Arcsinh,
    Arccosh,
    Arctanh,
    Floor,
    Ceil,
    Trunc,
    Rint,
    Isnan,
    Isinf,
    Isfinite,
    Signbit,
    Select,
    Cast,
}

impl Func {
    /// Which loop runs it.
    #[must_use]
    pub fn group(self) -> Group {
        use Func::*;
        match self {
            Add | Subtract | Multiply | FloorDivide | Remainder | Fmod | Power | Maximum | Minimum | Fmax | Fmin => {
                Group::Binary
            }
            Divide | Copysign | Arctan2 | Hypot | Logaddexp => Group::BinaryFloat,
            BitAnd | BitOr | BitXor | LeftShift | RightShift => Group::BinaryBits,
            Equal | NotEqual | Less | LessEqual => Group::Compare,
            Negative | Absolute | Sign | Conjugate | Square => Group::Unary,
            RealPart | ImagPart | Magnitude => Group::Part,
            Invert => Group::UnaryBits,
            Sqrt | Reciprocal | Exp | Exp2 | Expm1 | Log | Log2 | Log10 | Log1p | Cbrt | Sin | Cos | Tan | Arcsin
            | Arccos | Arctan | Sinh | Cosh | Tanh | Arcsinh | Arccosh | Arctanh | Floor | Ceil | Trunc | Rint => {
                Group::UnaryFloat
            }
            Isnan | Isinf | Isfinite | Signbit => Group::Predicate,
            Select => Group::Select,
            Cast => Group::Cast,
        }
    }

    /// Whether a function of floats is one of complex numbers as well.
    #[must_use]
    pub fn takes_complex(self) -> bool {
        use Func::*;
        matches!(self.group(), Group::UnaryFloat | Group::Predicate | Group::BinaryFloat)
            && !matches!(
                self,
                Reciprocal | Cbrt | Floor | Ceil | Trunc | Signbit | Copysign | Arctan2 | Hypot | Logaddexp
            )
    }

    /// How many arguments it takes.
    #[must_use]
    pub fn arity(self) -> usize {
        match self.group() {
            Group::Unary | Group::UnaryFloat | Group::UnaryBits | Group::Predicate | Group::Part | Group::Cast => 1,
            Group::Binary | Group::BinaryFloat | Group::BinaryBits | Group::Compare => 2,
            Group::Select => 3,
        }
    }

    /// Its name in plans and warnings: NumPy's, where it has a function for it.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Func::FloorDivide => "floor_divide".to_owned(),
            _ => format!("{self:?}").to_lowercase(),
        }
    }
}

/// Where a number in a program comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Slot {
    /// An input.
    Input(u16),
    /// A constant.
    Constant(u16),
    /// The result of an earlier step.
    Step(u16),
}

/// One instruction with its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Step {
    /// What to do.
    pub func: Func,
    /// The dtype of the arguments; of the second and third for a selection.
    pub dtype: DType,
    /// The dtype of the result.
    pub out: DType,
    /// Whether the user asked for this function, and so is told of divisions by
    /// zero and the like in it.
    pub reports: bool,
    args: [Slot; 3],
}

impl Step {
    /// The arguments.
    #[must_use]
    pub fn args(&self) -> &[Slot] {
        &self.args[..self.func.arity()]
    }
}

/// Steps in order, and which number is the result.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Program {
    inputs: Vec<DType>,
    constants: Vec<Constant>,
    steps: Vec<Step>,
    output: Slot,
}

impl Program {
    /// The program that answers its one input.
    #[must_use]
    pub fn identity(dtype: DType) -> Self {
        Program { inputs: vec![dtype], constants: Vec::new(), steps: Vec::new(), output: Slot::Input(0) }
    }

    /// The program that answers a constant.
    #[must_use]
    pub fn constant(constant: Constant) -> Self {
        Program { inputs: Vec::new(), constants: vec![constant], steps: Vec::new(), output: Slot::Constant(0) }
    }

    /// The dtypes of the inputs.
    #[must_use]
    pub fn inputs(&self) -> &[DType] {
        &self.inputs
    }

    /// The constants.
    #[must_use]
    pub fn constants(&self) -> &[Constant] {
        &self.constants
    }

    /// The steps.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Which number is the result.
    #[must_use]
    pub fn output(&self) -> Slot {
        self.output
    }

    /// The dtype of a number.
    #[must_use]
    pub fn dtype_of(&self, slot: Slot) -> DType {
        match slot {
            Slot::Input(input) => self.inputs[input as usize],
            Slot::Constant(constant) => self.constants[constant as usize].dtype(),
            Slot::Step(step) => self.steps[step as usize].out,
        }
    }

    /// The dtype of the result.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype_of(self.output)
    }

    /// The program that keeps to itself what happens in it: for where it runs on
    /// elements of which the user never asked.
    #[must_use]
    pub fn silent(&self) -> Program {
        let mut program = self.clone();
        program.steps.iter_mut().for_each(|step| step.reports = false);
        program
    }

    /// Whether it answers its only input unchanged.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.inputs.len() == 1 && self.output == Slot::Input(0)
    }

    /// The program with one more input, which it does not use itself.
    #[must_use]
    pub fn with_input(&self, dtype: DType) -> (Program, Slot) {
        let mut program = self.clone();
        program.inputs.push(dtype);
        let slot = Slot::Input(short(program.inputs.len() - 1));
        (program, slot)
    }

    /// Checks a program that came from elsewhere, so that running it never
    /// reads what is not there.
    ///
    /// # Errors
    /// If a step names a number that does not exist yet, or of another dtype.
    pub fn check(&self) -> Result<()> {
        let exists = |slot: Slot, n_steps: usize| match slot {
            Slot::Input(input) => (input as usize) < self.inputs.len(),
            Slot::Constant(constant) => (constant as usize) < self.constants.len(),
            Slot::Step(step) => (step as usize) < n_steps,
        };
        let sound = self.steps.iter().enumerate().all(|(n_steps, step)| {
            step.args().iter().all(|&slot| exists(slot, n_steps)) && self.has_sound_dtypes(step)
        });
        if sound && exists(self.output, self.steps.len()) {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::Version, "an elementwise program arrived broken"))
        }
    }

    fn has_sound_dtypes(&self, step: &Step) -> bool {
        let dtypes: Vec<DType> = step.args().iter().map(|&slot| self.dtype_of(slot)).collect();
        let floats = |step: &Step| step.dtype.is_float() || (step.dtype.is_complex() && step.func.takes_complex());
        if !step.dtype.has_arithmetic() || !step.out.has_arithmetic() {
            return false;
        }
        match step.func.group() {
            Group::Select => dtypes == [DType::Bool, step.dtype, step.dtype] && step.out == step.dtype,
            Group::Cast => dtypes == [step.dtype],
            Group::Compare => dtypes.iter().all(|&dtype| dtype == step.dtype) && step.out == DType::Bool,
            Group::Predicate => {
                let asks = matches!(step.func, Func::Isnan | Func::Isfinite) && step.dtype.is_time();
                dtypes == [step.dtype] && (floats(step) || asks) && step.out == DType::Bool
            }
            Group::Part => dtypes == [step.dtype] && step.dtype.is_complex() && step.out == step.dtype.to_real(),
            Group::UnaryFloat | Group::BinaryFloat => {
                floats(step) && dtypes.iter().all(|&dtype| dtype == step.dtype) && step.out == step.dtype
            }
            Group::UnaryBits | Group::BinaryBits => {
                (step.dtype.is_integer() || step.dtype == DType::Bool)
                    && dtypes.iter().all(|&dtype| dtype == step.dtype)
                    && step.out == step.dtype
            }
            Group::Unary | Group::Binary => dtypes.iter().all(|&dtype| dtype == step.dtype) && step.out == step.dtype,
        }
    }

    /// The program as text, its inputs by the given names: `add(sin(x), 1.0)`.
    #[must_use]
    pub fn to_text(&self, names: &[String]) -> String {
        const LONGEST: usize = 400;
        let mut texts: Vec<String> = Vec::with_capacity(self.steps.len());
        let text_of = |slot: Slot, texts: &[String]| match slot {
            Slot::Input(input) => names.get(input as usize).cloned().unwrap_or_else(|| format!("x{input}")),
            Slot::Constant(constant) => self.constants[constant as usize].to_string(),
            Slot::Step(step) => texts[step as usize].clone(),
        };
        for step in &self.steps {
            let mut text = if step.func == Func::Cast { step.out.name().to_owned() } else { step.func.name() };
            let args: Vec<String> = step.args().iter().map(|&slot| text_of(slot, &texts)).collect();
            let _ = write!(text, "({})", args.join(", "));
            texts.push(if text.len() > LONGEST { format!("{}(…)", step.func.name()) } else { text });
        }
        text_of(self.output, &texts)
    }
}

/// Puts a program together; equal steps become one.
#[derive(Default)]
pub struct Builder {
    inputs: Vec<DType>,
    constants: Vec<Constant>,
    steps: Vec<Step>,
    known: HashMap<Step, u16>,
    reports: bool,
}

impl Builder {
    /// An empty program.
    #[must_use]
    pub fn new() -> Self {
        Builder::default()
    }

    /// An empty program whose steps are functions that the user asked for; see
    /// [`Step::reports`].
    #[must_use]
    pub fn reporting() -> Self {
        Builder { reports: true, ..Builder::default() }
    }

    /// Adds an input.
    pub fn input(&mut self, dtype: DType) -> Slot {
        self.inputs.push(dtype);
        Slot::Input(short(self.inputs.len() - 1))
    }

    /// Adds a constant.
    pub fn constant(&mut self, constant: Constant) -> Slot {
        let position = self.constants.iter().position(|known| *known == constant).unwrap_or_else(|| {
            self.constants.push(constant);
            self.constants.len() - 1
        });
        Slot::Constant(short(position))
    }

    /// The dtype of a number.
    #[must_use]
    pub fn dtype_of(&self, slot: Slot) -> DType {
        match slot {
            Slot::Input(input) => self.inputs[input as usize],
            Slot::Constant(constant) => self.constants[constant as usize].dtype(),
            Slot::Step(step) => self.steps[step as usize].out,
        }
    }

    /// The value of a number if it is a constant.
    #[must_use]
    pub fn constant_value(&self, slot: Slot) -> Option<Constant> {
        match slot {
            Slot::Constant(constant) => Some(self.constants[constant as usize]),
            _ => None,
        }
    }

    /// Adds a step. Its arguments have the dtypes that it needs.
    pub fn step(&mut self, func: Func, args: &[Slot]) -> Slot {
        let dtype = self.dtype_of(*args.last().expect("every function has arguments"));
        let out = match func.group() {
            Group::Compare | Group::Predicate => DType::Bool,
            Group::Part => dtype.to_real(),
            _ => dtype,
        };
        self.push(func, dtype, out, self.reports, args)
    }

    /// Converts a number.
    pub fn cast(&mut self, slot: Slot, dtype: DType) -> Slot {
        let from = self.dtype_of(slot);
        if from == dtype {
            return slot;
        }
        if let Slot::Constant(constant) = slot {
            let converted = self.constants[constant as usize].cast(dtype);
            return self.constant(converted);
        }
        self.push(Func::Cast, from, dtype, self.reports, &[slot])
    }

    fn push(&mut self, func: Func, dtype: DType, out: DType, reports: bool, args: &[Slot]) -> Slot {
        // Unused arguments repeat the first, so that equal steps compare equal.
        let mut padded = [args[0]; 3];
        padded[..args.len()].copy_from_slice(args);
        let step = Step { func, dtype, out, reports, args: padded };
        let next = short(self.steps.len());
        let steps = &mut self.steps;
        Slot::Step(*self.known.entry(step).or_insert_with(|| {
            steps.push(step);
            next
        }))
    }

    /// Adds all of another program, reading `inputs`; answers its result.
    pub fn append(&mut self, program: &Program, inputs: &[Slot]) -> Slot {
        let mut results: Vec<Slot> = Vec::with_capacity(program.steps.len());
        let constants: Vec<Slot> = program.constants.iter().map(|&constant| self.constant(constant)).collect();
        let translate = |slot: Slot, results: &[Slot]| match slot {
            Slot::Input(input) => inputs[input as usize],
            Slot::Constant(constant) => constants[constant as usize],
            Slot::Step(step) => results[step as usize],
        };
        for step in &program.steps {
            let mut args = step.args;
            for slot in &mut args[..step.func.arity()] {
                *slot = translate(*slot, &results);
            }
            let result = self.push(step.func, step.dtype, step.out, step.reports, &args[..step.func.arity()]);
            results.push(result);
        }
        translate(program.output, &results)
    }

    /// The finished program.
    #[must_use]
    pub fn finish(self, output: Slot) -> Program {
        Program { inputs: self.inputs, constants: self.constants, steps: self.steps, output }
    }
}

/// The longest program that fusing makes; longer chains become several.
pub const MAX_STEPS: usize = 256;

fn short(position: usize) -> u16 {
    u16::try_from(position).expect("programs stay far below 65,536 numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_steps_are_kept_once_and_programs_join() {
        let mut builder = Builder::new();
        let x = builder.input(DType::F64);
        let a = builder.step(Func::Sin, &[x]);
        let b = builder.step(Func::Sin, &[x]);
        assert_eq!(a, b);
        let sum = builder.step(Func::Add, &[a, b]);
        let program = builder.finish(sum);
        assert_eq!(program.to_text(&["x".to_owned()]), "add(sin(x), sin(x))");

        let mut outer = Builder::new();
        let y = outer.input(DType::F64);
        let inner = outer.append(&program, &[y]);
        let half = outer.constant(Constant::from_f64(DType::F64, 0.5));
        let product = outer.step(Func::Multiply, &[inner, half]);
        let joined = outer.finish(product);
        assert_eq!(joined.steps().len(), 3);
        joined.check().unwrap();
    }

    #[test]
    fn broken_programs_are_refused() {
        let mut program = Program::identity(DType::F64);
        program.output = Slot::Step(3);
        assert!(program.check().is_err());
        let mut builder = Builder::new();
        let x = builder.input(DType::I64);
        let bad = builder.push(Func::Sin, DType::F64, DType::F64, false, &[x]);
        assert!(builder.finish(bad).check().is_err());
    }
}
