# עברית.

ringing-on = מצלצל ב-{ $line }
ringing-for-others = מצלצל אצל אחרים
talking-on = בשיחה ב-{ $line }
talking-with = בשיחה עם { $name } ב-{ $line }
on-hold-on = בהמתנה ב-{ $line }
on-hold-with = בהמתנה אצל { $name } ב-{ $line }
waiting = ממתין
place = מקום { $position }
waiting-place = ממתין, מקום { $position }
answered-by-on = נענה על ידי { $name } ב-{ $line }
answered-on = נענה ב-{ $line }
answered-here = נענה כאן
answered-by = נענה על ידי { $name }
caller-hung-up = המתקשר ניתק
declined-here = נדחה כאן
declined-then-hung-up = נדחה כאן · המתקשר ניתק
declined = נדחה
not-answered-here = לא נענה כאן
no-longer-ringing = כבר לא מצלצל כאן
passed-on-to = הועבר אל { $name }
left = כבר לא בשיחה הזאת
joined = אוחד עם שיחה אחרת
lost-sight = השיחה אבדה מעינינו
ended-after = הסתיים אחרי { $time }
declined-sent-away = נדחה, המתקשר נותק
nobody-sent-away = איש לא ענה, המתקשר נותק
nobody-hung-up = איש לא ענה, המתקשר ניתק
nobody-answered = איש לא ענה

number-withheld = מספר חסוי
number-verified = מספר מאומת
number-forged = ייתכן שהמספר מזויף
caller-id = מזדהה בשם { $name }
share-this-number = { $count ->
    [2] שני לקוחות במספר הזה
   *[other] { $count } לקוחות במספר הזה
}
may-be-calling = { $count ->
    [2] אולי אחד משני לקוחות
   *[other] אולי אחד מ-{ $count } לקוחות
}
guess-company = ניחוש: מספר החברה
guess-digits = ניחוש: { $digits } ספרות אחרונות
chosen-before = נבחר בעבר
chosen = נבחר
who-is-calling = מי מתקשר?
looking-up = מחפש…
no-customer = לאף לקוח אין המספר הזה
none-of-them = אף אחד מהלקוחות במספר הזה
ask-for-number = בקשו מספר לקוח או חשבונית
not-looked-up = הלקוח לא אותר: { $why }
looked-after-by = בטיפול { $name }
passed-on-by = הועבר על ידי { $name }
dialled = חויג { $number }
forwarded-by-too = הופנה על ידי { $number }
forwarded-by = הופנה על ידי { $number }
from-the-phone-system = מהמרכזייה
more-ring = ועוד { $count } מצלצלות

customer = לקוח
balance = יתרה
credit-terms = תנאי אשראי
recent-purchases = קניות אחרונות
notes = הערות
more = עוד
overdue-amount = { $amount } באיחור
settled = מסולק
in-favour = לזכות הלקוח
open = פתוח
credit-left = אשראי פנוי
of-limit = מתוך { $amount }
limit-minus-balance = מסגרת פחות יתרה
terms = תנאים
credit-stopped = האשראי נעצר
open-row = פתוח
overdue-row = באיחור
overdue-since = באיחור מאז { $date }
nothing-overdue = אין חוב באיחור
no-purchases = אין קניות רשומות
limit-row = מסגרת
sales-stopped = מכירה באשראי נעצרה
payment-term = תנאי תשלום
may-be-offered = אפשר להציע: { $what }
source-waiting = ממתין
as-of = נכון ל-{ $time }
earlier-calls = שיחות קודמות
contradicts = { $who } אומר { $value } ({ $what })
sources-disagree = המקורות חלוקים
oldest-due = תאריך הפירעון הישן ביותר
yes = כן
no = לא
no-record = אין רישום
no-answer-waiting = אין תשובה { $ms } מ״ש, עדיין ממתין
old-figures = נתונים ישנים: { $why }
kept-back = מוסתר עד לזיהוי: { $what }
came-late = הגיע באיחור, { $time }

failure-no-answer = אין תשובה { $ms } מ״ש
failure-unreachable = אין גישה
failure-refused = סירוב: { $what }
failure-not-understood = תשובה לא מובנת: { $what }
failure-too-large = תשובה גדולה מדי
failure-busy = עמוס מדי
failure-resting = נכשל שוב ושוב; בהפסקה קצרה
failure-not-asked = לא נשאל: { $what }

seconds = { $count } שנ׳
minutes = { $count } דק׳
hours = { $count } שע׳
at-once = מיד
milliseconds = { $count } מ״ש
seconds-part = { $amount } שנ׳
days = { $count ->
    [one] יום אחד
    [two] יומיים
   *[other] { $count } ימים
}

connecting = מתחבר לשרת…
connected = מחובר
not-connected-because = אין חיבור { $age } · { $why }
not-connected = אין חיבור { $age } · ייתכן שהמידע ישן
no-line = ללא שלוחה
line-is = שלוחה { $line }
lines-are = שלוחות { $lines }
supervisor = אחראי משמרת
live-calls = שיחות פעילות
recent-calls = שיחות אחרונות
time = שעה
caller = מתקשר
number = מספר
line = שלוחה
what-happened = מה קרה
no-calls-yet = עוד לא היו שיחות

calls = שיחות
lines = שלוחות
agent = נציג
state = מצב
since = משך
queue = תור
pause = הפסקה
count-waiting = { $count } ממתינות
count-ringing = { $count } מצלצלות
count-talking = { $count } בשיחה
count-on-hold = { $count } בהחזקה
passed-on-by-whom = הועבר על ידי { $name }
paused-because = הפסקה: { $reason }, { $since }
paused = הפסקה, { $since }
phone-system-unheard = המרכזייה { $name } לא נשמעת { $age } · השיחות שלה לא מוצגות
phone-systems-unheard = { $count } מרכזיות לא נשמעות, { $name } כבר { $age } · השיחות שלהן לא מוצגות
line-unknown = לא ידוע
line-idle = פנוי
line-ringing = מצלצל
line-busy = תפוס
no-calls-now = אין שיחות כרגע
no-lines-yet = עוד לא ידועה שום שלוחה

wrap-up = סיום טיפול
finish = סיום
extend = עוד 30 שנ׳
close = סגירה
move-aside = הזזה הצידה

language-name = עברית
language = שפה
colours = צבעים
dark = כהה
light = בהיר
pops-when = הכרטיס מופיע
pops-ring = כשמצלצל
pops-answer = כשאני עונה
pops-never = רק מהרשימות
stays-after-talk = הכרטיס נשאר אחרי שיחה
until-closed = עד שאסגור
edge = צד המסך
edge-left = שמאל
edge-right = ימין
settings = הגדרות

none-of-these = אף אחד מהם
how-identified = איך זוהה המתקשר?
identified = זוהה
written-here = נכתב בשיחה הזאת
save-note = שמירה
note-hint = הערה
follow-up = לחזור לזה
tomorrow = מחר
in-a-week = שבוע
in-a-month = חודש
outcome-is = תוצאה: { $outcome }
follow-up-on = לחזור ב-{ $day }: { $text }
discard = ויתור
send-again = שליחה שוב
not-kept-here = המחשב לא יכול לשמור את מה שנכתב: תקלה תמחק אותו
refused-too-much-waits = יותר מדי ממתין כבר לשרת
refused-not-your-call = השיחה כבר לא על המסך
refused-too-long = ארוך מ-4,000 תווים: יש לקצר
refused-empty = הטקסט ריק
refused-unknown-outcome = השרת לא מכיר תוצאה כזאת לשיחה
refused-full = נכתב כבר יותר מדי בשיחה הזאת
refused-not-yours = זה כבר לא שם, או לא שלך
refused-record-stopped = השרת לא יכול לכתוב לדיסק: לא נשמר; יש לפנות לאחראי
