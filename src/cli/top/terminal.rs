//! The terminal while `top` has it: a screen of its own, no cursor, keys as they are pressed; given back in any case.

use std::io::{self, IsTerminal, Read, Write};
use std::time::Duration;

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// xterm's "Alt Screen Buffer" (DEC private mode 1049) and cursor (25).
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";
/// How long a look at the keyboard takes, in tenths of a second.
const KEY_WAIT: u8 = 2;

/// The terminal; as it was, when this is dropped.
pub struct Screen {
    before: Option<Termios>,
}

/// Why a frame is not to be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It is to end.
    End,
    /// The terminal has another size.
    Resized,
}

/// What people and others want of us.
pub struct Events {
    keys: mpsc::Receiver<()>,
    /// Held where there is no keyboard: nobody presses anything then.
    _no_keys: Option<mpsc::Sender<()>>,
    end: [Signal; 3],
    resized: Signal,
}

impl Screen {
    /// Takes the terminal, and what is pressed there.
    ///
    /// # Errors
    /// When it cannot be written to, or signals cannot be handled.
    pub fn take() -> io::Result<(Self, Events)> {
        let end = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = end.map(signal);
        let (told, keys) = mpsc::channel(1);
        let (end, resized) = ([interrupt?, terminate?, hangup?], signal(SignalKind::window_change())?);
        let screen = Self { before: keys_at_once() };
        write(ENTER)?;
        let no_keys = if screen.before.is_some() {
            // Not the runtime's: it would wait for this thread at the end.
            std::thread::spawn(move || wait_for_q(&told));
            None
        } else {
            Some(told)
        };
        Ok((screen, Events { keys, _no_keys: no_keys, end, resized }))
    }

    /// Shows these lines, which are not longer than the terminal is wide, in the place of those before.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn show(&self, lines: &[String]) -> io::Result<()> {
        let lines = lines.join(&format!("{CLEAR_LINE}\n"));
        write(&format!("{HOME}{lines}{CLEAR_LINE}{CLEAR_BELOW}"))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, before);
        }
        // A terminal that is gone needs nothing.
        let _ = write(LEAVE);
    }
}

impl Events {
    /// The next one.
    pub async fn next(&mut self) -> Event {
        let [interrupt, terminate, hangup] = &mut self.end;
        tokio::select! {
            _ = self.keys.recv() => Event::End,
            _ = interrupt.recv() => Event::End,
            _ = terminate.recv() => Event::End,
            _ = hangup.recv() => Event::End,
            _ = self.resized.recv() => Event::Resized,
        }
    }
}

/// Lets keys come at once and unseen, and a look at them end soon; gives what was before, where there is a keyboard.
/// Ctrl-C stays a signal; Ctrl-Z would leave the shell with our screen.
fn keys_at_once() -> Option<Termios> {
    if !io::stdin().is_terminal() {
        return None;
    }
    let before = tcgetattr(io::stdin()).ok()?;
    let mut now = before.clone();
    now.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
    now.special_codes[SpecialCodeIndex::VMIN] = 0;
    now.special_codes[SpecialCodeIndex::VTIME] = KEY_WAIT;
    now.special_codes[SpecialCodeIndex::VSUSP] = 0;
    tcsetattr(io::stdin(), OptionalActions::Now, &now).ok()?;
    Some(before)
}

fn wait_for_q(told: &mpsc::Sender<()>) {
    let mut keys = [0; 16];
    while !told.is_closed() {
        match io::stdin().read(&mut keys) {
            Ok(count) if keys[..count].iter().any(|key| matches!(key, b'q' | b'Q')) => {
                let _ = told.blocking_send(());
                return;
            }
            Ok(_) => {}
            // A terminal that is gone has told so by a signal.
            Err(_) => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}
