# English. Another language is a file beside this one with the same messages, and a row in src/words/language.rs.
# Names, numbers and texts of others are put in as they are; what is counted is a number.

## What a call does
ringing-on = Ringing on { $line }
ringing-for-others = Ringing for others
talking-on = Talking on { $line }
talking-with = Talking with { $name } on { $line }
on-hold-on = On hold on { $line }
on-hold-with = On hold with { $name } on { $line }
waiting = Waiting
place = place { $position }
waiting-place = Waiting, place { $position }
answered-by-on = Answered by { $name } on { $line }
answered-on = Answered on { $line }
answered-here = Answered here
answered-by = Answered by { $name }
caller-hung-up = The caller hung up
declined-here = Declined here
declined-then-hung-up = Declined here · the caller hung up
declined = Declined
not-answered-here = Not answered here
no-longer-ringing = No longer ringing here
passed-on-to = Passed on to { $name }
left = No longer in this call
joined = Joined with another call
lost-sight = Lost sight of this call
ended-after = Ended after { $time }
declined-sent-away = Declined, the caller was sent away
nobody-sent-away = Nobody answered, the caller was sent away
nobody-hung-up = Nobody answered, the caller hung up
nobody-answered = Nobody answered

## Who calls
trial = trial: nobody calls
number-withheld = Number withheld
number-verified = number verified
number-forged = number may be forged
caller-id = Caller ID: { $name }
share-this-number = { $count ->
    [2] Two customers share this number
   *[other] { $count } customers share this number
}
may-be-calling = { $count ->
    [2] Two customers may be calling
   *[other] { $count } customers may be calling
}
guess-company = guess: company's number
guess-digits = guess: last { $digits } digits
chosen-before = chosen before
chosen = chosen
who-is-calling = Who is calling?
someone-else = Someone else…
number-belongs-to = This number belongs to…
new-customer = New customer…
find = Find
find-whom = Name, customer number or phone number
find-partly = Not every directory answered in time
find-failed = No directory can be searched now
looking-up = Looking up…
no-customer = No customer has this number
none-of-them = None of the customers on this number
ask-for-number = Ask for the customer or invoice number
not-looked-up = Customer not looked up: { $why }
looked-after-by = Looked after by { $name }
passed-on-by = Passed on by { $name }
dialled = Dialled { $number }
forwarded-by-too = forwarded by { $number }
forwarded-by = Forwarded by { $number }
from-the-phone-system = From the phone system
more-ring = { $count } more ring

## Figures and cards
customer = Customer
balance = Balance
credit-terms = Credit terms
recent-purchases = Recent purchases
notes = Notes
more = More
overdue-amount = { $amount } overdue
settled = settled
in-favour = in the customer's favour
open = open
credit-left = Credit left
of-limit = of { $amount }
limit-minus-balance = limit − balance
terms = Terms
credit-stopped = credit is stopped
open-row = Open
overdue-row = Overdue
overdue-since = Overdue since { $date }
nothing-overdue = Nothing overdue
no-purchases = No purchases on record
needs-a-newer-pinkas = Shown by a newer Pinkas only: install it on this computer
limit-row = Limit
sales-stopped = Sales on credit are stopped
payment-term = Payment term
may-be-offered = May be offered: { $what }
source-waiting = waiting
as-of = as of { $time }
earlier-calls = Earlier calls
contradicts = { $who } says { $value } ({ $what })
sources-disagree = sources disagree
oldest-due = oldest due date
yes = yes
no = no
no-record = no record
no-answer-waiting = no answer in { $time }, still waiting
old-figures = old figures: { $why }
kept-back = kept back until identified: { $what }
field-offer = may be offered
field-note = note
came-late = came late, { $time }

## Why a source says nothing
failure-no-answer = no answer in { $time }
failure-unreachable = cannot be reached
failure-refused = refused: { $what }
failure-not-understood = answer not understood: { $what }
failure-too-large = answer too large
failure-busy = too busy
failure-resting = failed again and again; left alone for a while
failure-not-asked = not asked: { $what }

## Time and amounts
seconds = { $count } s
minutes = { $count } min
hours = { $count } h
at-once = at once
milliseconds = { $count } ms
seconds-part = { $amount } s
days = { $count ->
    [one] 1 day
   *[other] { $count } days
}

## The main window
connecting = Connecting to the hub…
connected = Connected
not-connected-because = Not connected for { $age } · { $why }
not-connected = Not connected for { $age } · what you see may be old
link-unreachable = cannot be reached: { $why }
link-other-version = the hub speaks another version: install the same Pinkas on both sides
link-broken = the connection broke
link-silent = nothing was heard for { $count } s
link-not-understood = a message was not understood
link-stopping = the hub is stopping
link-wrong-secret = the hub does not know this name and password
link-no-hello = the login came too late
link-too-slow = this computer could not keep up
link-replaced = the same name logged in from another place
link-login-ended = this login has ended
link-too-many = too many wrong passwords: wait a minute
no-line = no line
line-is = line { $line }
lines-are = lines { $lines }
supervisor = supervisor
live-calls = Live calls
recent-calls = Recent calls
time = Time
caller = Caller
number = Number
line = Line
what-happened = What happened
no-calls-yet = No calls yet

## The supervisor's view
calls = Calls
lines = Lines
agent = Agent
state = State
since = Since
queue = Queue
pause = Pause
count-waiting = { $count } waiting
count-ringing = { $count } ringing
count-talking = { $count } talking
count-on-hold = { $count } on hold
passed-on-by-whom = passed on by { $name }
paused-because = Paused: { $reason }, { $since }
paused = Paused, { $since }
phone-system-unheard = Phone system { $name } has not been heard for { $age } · its calls do not show
phone-systems-unheard = { $count } phone systems are not heard, { $name } for { $age } · their calls do not show
line-unknown = Unknown
line-idle = Idle
line-ringing = Ringing
line-busy = Busy
no-calls-now = No calls now
no-lines-yet = No lines are known yet

## Controls
wrap-up = Wrap-up
finish = Finish
extend = 30 s more
close = Close
move-aside = Move aside
show-window = Show Pinkas
quit = Quit
back-to-edge = Back to the edge
move-card = Move the card

## Settings
# How this language calls itself.
language-name = English
language = Language
colours = Colours
dark = Dark
light = Light
pops-when = Card shows
pops-ring = When it rings
pops-answer = When I answer
pops-never = Only from the lists
stays-after-talk = Card stays after a talk
until-closed = Until I close it
edge = Edge of the screen
edge-left = Left
edge-right = Right
edge-put = Where I put it
on = On
off = Off
sound-at-ring = Sound when a call rings
flash-at-ring = Taskbar flashes when a call rings
notify-at-ring = Notification when a call rings
starts-with-session = Opens when I log in
in-the-tray = In the tray, also when closed
settings = Settings

## What the person writes
none-of-these = None of these
how-identified = How was the caller identified?
identified = Identified
nothing-yet = Nothing yet
written-here = Written on this call
save-note = Save
note-hint = Note
follow-up = Follow up
tomorrow = Tomorrow
in-a-week = 1 week
in-a-month = 1 month
outcome-is = Outcome: { $outcome }
outcome-wanted = Choose an outcome
follow-up-on = Follow up { $day }: { $text }
discard = Discard
send-again = Send again
not-kept-here = This computer cannot keep what you write: a crash would lose it
refused-too-much-waits = too much waits for the hub already
refused-not-your-call = this call is not on your screen any more
refused-too-long = longer than 4,000 characters: make it shorter
refused-empty = the text is empty
refused-unknown-outcome = the hub knows no such outcome for this call
refused-full = too much is written on this call already
refused-not-yours = it is not there any more, or not yours
refused-record-stopped = the hub cannot write to its disk: not kept; tell who looks after it

## Missed calls, follow-ups, earlier calls, what was written
missed-calls = Missed
follow-ups = Follow-ups
tab-with = { $name } ({ $count })
last-call = Last call
nobody-missed = Nobody was missed
calls-since = { $count } calls since { $time }
handled = Handled
handled-by = Handled by { $name }
handled-not-told = Handled here · the hub is being told
mark-handled = Handled
call-back = Call back
due = Due
overdue-from = Overdue, { $date }
due-today = Due today
what-to-do = What to do
mark-done = Done
follow-ups-asked = The hub is being asked for your follow-ups…
no-follow-ups = You have no open follow-ups
nothing-due = Nothing is due today
search-calls = Search: number, customer number, text
search-on = Search on
searched-back-to = Searched back to { $time }
searched-partly = The search stopped on its way
search-busy = Too many search at once: try again in a moment
search-failed = The hub cannot read its record: tell who looks after it
nothing-found = Nothing was found
hub-is-asked = The hub is being asked…
hub-not-asked = Earlier calls come once the hub is heard again
no-such-call = The hub shows no such call to you
call-goes-on = This call goes on
show-card = Show card
offered-to = Offered to
talked-here = talked { $time }
rang-here = rang
note = Note
outcome = Outcome
done = done
not-kept = Not kept: { $why } · { $what }
disk-takes-nothing = This computer keeps nothing you write: { $why }
drafts-damaged = { $count } damaged files of unsent notes were moved aside
follow-up-due = Follow-up for { $date }

## Whether people take calls
ready = Ready
say-ready = I am ready
not-ready-because = Not ready: { $reason }
offline = Offline
since-when = since { $since }
change-state = Not ready…
change-state-close = Close the choice
reason-break = Break
reason-lunch = Lunch
reason-training = Training
reason-back-office = Back office
you-are-not-ready = You are not ready: { $reason }
in-phone-system = But in the phone system: { $pause }
not-paused = Not paused in the phone system
not-paused-you = The phone system is not known to pause you: calls can still ring
people = People
phone-system = Phone system
count-ready = { $count } ready
count-not-ready = { $count } not ready
count-wrap-up = { $count } in wrap-up
count-offline = { $count } offline

## Logging in
log-in-title = Log in
log-in-as = { $who } at { $hub }
password = Password
password-again = The same once more, or another
log-in = Log in
log-out = Log out
keep-in-keyring = Keep it in this computer's keyring
keyring-none = No keyring runs on this computer: the password is kept until Pinkas is closed
keyring-busy = This computer's keyring is being asked; it may ask you something itself
keyring-locked = This computer's keyring stayed locked
keyring-broken = This computer's keyring cannot be read
keyring-not-kept = This computer's keyring did not keep the password: you will be asked again
keyring-not-forgotten = This computer's keyring did not forget the password: remove it there by hand
login-wrong = The hub does not know this name and password
login-too-many = Too many wrong passwords were tried: wait a minute, then log in again
login-ended = The hub has ended this login: log in again
login-asks = The hub is being asked…
login-no-answer = No link to the hub, it is tried again: { $why }
logged-in-as = Logged in as { $who }
kept-in-keyring = The password is in this computer's keyring
kept-asked = The keyring is being asked to keep the password…
kept-until-closed = The password is kept until Pinkas is closed
