# Polski.

ringing-on = Dzwoni na { $line }
ringing-for-others = Dzwoni u innych
talking-on = Rozmowa na { $line }
talking-with = Rozmawia { $name } na { $line }
on-hold-on = Zawieszona na { $line }
on-hold-with = Zawieszona, { $name } na { $line }
waiting = Czeka
place = miejsce { $position }
waiting-place = Czeka, miejsce { $position }
answered-by-on = Odbiera { $name } na { $line }
answered-on = Odebrano na { $line }
answered-here = Odebrano tutaj
answered-by = Odbiera { $name }
caller-hung-up = Dzwoniący się rozłączył
declined-here = Odrzucono tutaj
declined-then-hung-up = Odrzucono tutaj · dzwoniący się rozłączył
declined = Odrzucono
not-answered-here = Nie odebrano tutaj
no-longer-ringing = Już tu nie dzwoni
passed-on-to = Przekazano: { $name }
left = Już nie w tej rozmowie
joined = Połączono z inną rozmową
lost-sight = Stracono tę rozmowę z oczu
ended-after = Zakończona po { $time }
declined-sent-away = Odrzucono, dzwoniący został rozłączony
nobody-sent-away = Nikt nie odebrał, dzwoniący został rozłączony
nobody-hung-up = Nikt nie odebrał, dzwoniący się rozłączył
nobody-answered = Nikt nie odebrał

number-withheld = Numer zastrzeżony
number-verified = numer potwierdzony
number-forged = numer może być podrobiony
caller-id = Przedstawia się: { $name }
share-this-number = { $count ->
    [2] Dwóch klientów ma ten numer
   *[other] { $count } klientów ma ten numer
}
may-be-calling = { $count ->
    [2] Może dzwonić jeden z dwóch klientów
   *[other] Może dzwonić jeden z { $count } klientów
}
guess-company = domysł: numer firmy
guess-digits = domysł: ostatnie { $digits } cyfr
chosen-before = wybrany poprzednio
chosen = wybrany
who-is-calling = Kto dzwoni?
looking-up = Szukam…
no-customer = Żaden klient nie ma tego numeru
none-of-them = Żaden z klientów z tym numerem
ask-for-number = Zapytaj o numer klienta lub faktury
not-looked-up = Nie wyszukano klienta: { $why }
looked-after-by = Opiekun: { $name }
passed-on-by = Przekazuje { $name }
dialled = Wybrano { $number }
forwarded-by-too = przekierował { $number }
forwarded-by = Przekierował { $number }
from-the-phone-system = Z centrali
more-ring = i jeszcze { $count }

customer = Klient
balance = Saldo
credit-terms = Warunki kredytu
recent-purchases = Ostatnie zakupy
notes = Notatki
more = Więcej
overdue-amount = { $amount } po terminie
settled = rozliczone
in-favour = na korzyść klienta
open = do zapłaty
credit-left = Wolny kredyt
of-limit = z { $amount }
limit-minus-balance = limit − saldo
terms = Termin
credit-stopped = kredyt wstrzymany
open-row = Do zapłaty
overdue-row = Po terminie
overdue-since = Po terminie od { $date }
nothing-overdue = Nic po terminie
no-purchases = Brak zakupów
limit-row = Limit
sales-stopped = Sprzedaż na kredyt wstrzymana
payment-term = Termin płatności
may-be-offered = Można zaproponować: { $what }
source-waiting = czekam
as-of = stan z { $time }
earlier-calls = Wcześniejsze rozmowy
contradicts = { $who } podaje { $value } ({ $what })
sources-disagree = źródła są niezgodne
oldest-due = najstarszy termin
yes = tak
no = nie
no-record = brak wpisu
no-answer-waiting = brak odpowiedzi przez { $ms } ms, nadal czekam
old-figures = stare dane: { $why }
kept-back = ukryte do potwierdzenia tożsamości: { $what }
came-late = spóźnione, { $time }

failure-no-answer = brak odpowiedzi przez { $ms } ms
failure-unreachable = nieosiągalne
failure-refused = odmowa: { $what }
failure-not-understood = odpowiedź niezrozumiała: { $what }
failure-too-large = odpowiedź za duża
failure-busy = zbyt obciążone
failure-resting = ciągłe błędy; chwila przerwy
failure-not-asked = nie zapytano: { $what }

seconds = { $count } s
minutes = { $count } min
hours = { $count } godz.
at-once = od razu
milliseconds = { $count } ms
seconds-part = { $amount } s
days = { $count ->
    [one] 1 dzień
   *[other] { $count } dni
}

connecting = Łączę z serwerem…
connected = Połączono
not-connected-because = Brak połączenia od { $age } · { $why }
not-connected = Brak połączenia od { $age } · dane mogą być nieaktualne
no-line = brak telefonu
line-is = telefon { $line }
lines-are = telefony { $lines }
supervisor = przełożony
live-calls = Trwające
recent-calls = Ostatnie
time = Czas
caller = Dzwoniący
number = Numer
line = Telefon
what-happened = Co się stało
no-calls-yet = Jeszcze nikt nie dzwonił

calls = Rozmowy
lines = Telefony
agent = Osoba
state = Stan
since = Od
queue = Kolejka
pause = Przerwa
count-waiting = czeka: { $count }
count-ringing = dzwoni: { $count }
count-talking = rozmawia: { $count }
count-on-hold = zawieszone: { $count }
passed-on-by-whom = przekazuje { $name }
paused-because = Przerwa: { $reason }, { $since }
paused = Przerwa, { $since }
phone-system-unheard = Centrali { $name } nie słychać od { $age } · jej rozmów nie widać
phone-systems-unheard = Nie słychać central: { $count }, w tym { $name } od { $age } · ich rozmów nie widać
line-unknown = Nieznany
line-idle = Wolny
line-ringing = Dzwoni
line-busy = Zajęty
no-calls-now = Teraz nikt nie dzwoni
no-lines-yet = Nie znamy jeszcze żadnego telefonu

wrap-up = Po rozmowie
finish = Zakończ
extend = 30 s więcej
close = Zamknij
move-aside = Na bok

language-name = Polski
language = Język
colours = Kolory
dark = Ciemne
light = Jasne
pops-when = Karta pokazuje się
pops-ring = Gdy dzwoni
pops-answer = Gdy odbiorę
pops-never = Tylko z list
stays-after-talk = Karta zostaje po rozmowie
until-closed = Aż ją zamknę
edge = Brzeg ekranu
edge-left = Lewy
edge-right = Prawy
settings = Ustawienia

none-of-these = Żaden z nich
how-identified = Jak potwierdzono tożsamość?
identified = Potwierdzono
written-here = Zapisano przy tej rozmowie
save-note = Zapisz
note-hint = Notatka
follow-up = Wróć do tego
tomorrow = Jutro
in-a-week = Tydzień
in-a-month = Miesiąc
outcome-is = Wynik: { $outcome }
follow-up-on = Wrócić { $day }: { $text }
discard = Porzuć
send-again = Wyślij znów
not-kept-here = Ten komputer nie może zachować notatek: awaria je skasuje
refused-too-much-waits = zbyt wiele czeka już na serwer
refused-not-your-call = tej rozmowy nie ma już na ekranie
refused-too-long = dłuższe niż 4000 znaków: skróć
refused-empty = tekst jest pusty
refused-unknown-outcome = serwer nie zna takiego wyniku tej rozmowy
refused-full = przy tej rozmowie zapisano już zbyt wiele
refused-not-yours = już tego nie ma albo nie jest twoje
refused-record-stopped = serwer nie może pisać na dysku: nie zapisano; powiadom opiekuna
