"""The words and numbers of the paper on storm petrels."""

from __future__ import annotations

JOURNAL = "Korrin Journal of Island Ecology 12 (2025), 41–43"

TITLE = "Storm petrels on Vessa, 2019 to 2024: counts by playback after the end of the rats"

AUTHORS = "Elin Sørby<super>1</super> and Marcus Adeyemi<super>2</super>"

PLACES = (
    "1 Korrin Institute of Marine Biology. 2 Department of Statistics, University of Aldmouth. "
    "Received 3 November 2024, accepted 20 January 2025."
)

ABSTRACT = (
    "<b>Abstract.</b> Rats were removed from Vessa in the winter of 2016 to 2017. Two years later we began to count "
    "European storm petrels, <i>Hydrobates pelagicus</i>, by playing a recording of their call at the burrows and "
    "listening for answers. The number of occupied sites was 411 in 2019 and 467 in 2024, an increase of 2.6 per cent "
    "a year. The growth was interrupted in 2023, when a swell from the west flooded the boulder beach at Gull Gate in "
    "the incubation period. Young birds that are drawn down by the lighthouse are a small but avoidable loss. We "
    "recommend to screen the lower panes of the lantern from 20 August to 10 October."
)

COUNTS = [
    (2019, 148, 411, 355, 478),
    (2021, 158, 439, 380, 507),
    (2022, 164, 456, 396, 525),
    (2023, 141, 392, 336, 459),
    (2024, 168, 467, 407, 536),
]
"""Year, birds that answered, estimated occupied sites, and the interval's ends. 2020 was not surveyed."""

GROUNDED = [("August", 14, 12), ("September", 21, 19), ("October", 2, 2)]
"""Month, birds found, and how many of them were released unhurt."""

BODY_TEXT = [
    ("section", "1. Introduction"),
    (
        "text",
        "The European storm petrel weighs 25 grams and spends its life at sea. It comes to land only to breed, only at "
        "night, and only where no mammal hunts on the ground. Vessa must have been such a place: a schoolmaster's "
        "list of 1903 calls it “common in every wall”. Rats came ashore from a wrecked grain barge in 1988. By 1996 "
        "no petrel was heard any more.",
    ),
    (
        "text",
        "Between November 2016 and February 2017 the Vessa Trust laid poison in 1,240 bait stations, one every 45 "
        "metres. The work cost 212,000 euros. The last sign of a rat was a gnawed candle on 6 January 2017, and the "
        "island was declared free of rats in 2019. The first chick was found in the wall of the old school garden in "
        "August 2018.",
    ),
    (
        "text",
        "Petrels cannot be counted by eye. A male in his burrow, however, answers a recording of another male. If one "
        "knows which share of the males answers, one can compute how many there are.",
    ),
    ("section", "2. Study area"),
    (
        "text",
        "Vessa is 3.2 kilometres long, low in the middle and steep in the west. Its fields are divided by 9.4 "
        "kilometres of dry-stone wall, most of it built before 1850, and about a third of it in good repair. The walls "
        "offer dry crevices between 30 and 80 centimetres above the ground. At Gull Gate, in the south-west, a beach "
        "of granite boulders 310 metres long offers many more crevices, but its lower half is wet at every spring "
        "tide.",
    ),
    (
        "text",
        "Sheep graze on the island all year. There are four cats, all of them in Northhaven, "
        "more than a kilometre from the nearest marked nest. Great black-backed gulls, of which eleven pairs breed on "
        "the Calf, take a few petrels every summer; we found 16 pellets with petrel feathers in 2022.",
    ),
    ("section", "3. Methods"),
    (
        "text",
        "We marked 24 plots of 20 by 20 metres, sixteen in dry-stone walls and eight on the boulder beach at Gull "
        "Gate. Every year between 6 and 20 July two observers walked each plot once between 23:30 and 02:30. At each "
        "crevice a purr call was played for 30 seconds, and an answer within the next 30 seconds was counted. We did "
        "not work in winds above force 4, in rain, or within three nights of the full moon.",
    ),
    (
        "text",
        "To find the response rate we placed an endoscope into 48 marked nests, found out which held an incubating "
        "male, and played the call there on five nights. On average 36 per cent of the males answered (standard error "
        "3 per cent). The number of occupied sites is the number of answers divided by this rate. Intervals were "
        "computed by resampling plots and nests 2,000 times.",
    ),
    (
        "text",
        "Breeding success is the share of the marked nests with an egg from which a chick flew. Birds that were "
        "grounded at the lighthouse were collected by the keepers every morning in August, September and October, kept "
        "in a dark box during the day and released on the next evening.",
    ),
    (
        "text",
        "There was no survey in 2020, because visitors could not travel to the island in that summer.",
    ),
    ("section", "4. Results"),
    (
        "text",
        "Table 1 and Figure 1 show the counts. From 2019 to 2024 the number of occupied sites rose from 411 to 467, or "
        "by 2.6 per cent a year. The lowest count was that of 2023 with 392 sites. All of that year's loss was on the "
        "boulder beach; in the walls the number rose slightly, from 287 to 291.",
    ),
    ("table", "Table 1. Birds that answered and estimated occupied sites on Vessa."),
    (
        "text",
        "In the night of 21 June 2023 a swell of 4.2 metres from the west reached the upper boulders at Gull Gate. Of "
        "our 48 marked nests 19 were lost in that one night. Breeding success was 0.71 in 2022, 0.43 in 2023 and 0.68 "
        "in 2024.",
    ),
    ("chart", "Figure 1. Occupied sites by year. Thin lines are 95 % intervals. 2020 was not surveyed."),
    (
        "text",
        "In 2024 the keepers collected 37 grounded birds at the lighthouse, 35 of them young ones in their first week "
        "of flight. Of these 37 birds 33 were released unhurt and four were found dead. On the eleven nights on which "
        "the lower panes were screened for a trial, only two birds came down.",
    ),
    ("grounded", "Table 2. Birds grounded at the lighthouse in 2024, by month."),
    (
        "text",
        "Most of them came down in the hour after midnight, in drizzle or fog, and never in clear nights with a moon. "
        "They weighed 24 grams on average, hardly less than the adults, so that hunger is not what brings them down.",
    ),
    ("section", "5. Discussion"),
    (
        "text",
        "The return of the petrels was quick. Twenty-two years without birds ended nineteen months after the last sign "
        "of a rat. We think that the first settlers came from Lamb Stack, 14 kilometres to the north, where 2,300 "
        "pairs breed: two of the birds that we caught on Vessa carried rings from there.",
    ),
    (
        "text",
        "The growth since then is slow. A petrel lays one egg a year and does not breed before its fourth summer. "
        "The island offers far more crevices than birds, so space does not limit them. We believe that the boulder "
        "beach is a trap: it attracts birds in calm springs and drowns their nests in rough summers. The walls are "
        "safe, and every metre of dry-stone wall that is kept in repair helps.",
    ),
    (
        "text",
        "The lamp itself is not the problem. It turns high above the birds. Those that come down have been caught by "
        "the stray light that leaves the lantern through the lower panes and lights the wet grass of the Calf. A "
        "canvas screen inside these panes does not touch the beam and can be put up in ten minutes. We recommend to "
        "use it every night from 20 August to 10 October, and to choose a warm colour when the lights of the harbour "
        "are next renewed.",
    ),
    (
        "text",
        "How many petrels can the island hold? If the walls were occupied as densely as those of the best plot, one "
        "site in every four metres, there would be 2,350 sites. At the present rate of growth that number would be "
        "reached in about sixty years. Repairing two hundred metres of wall a year would cost the island less than the "
        "removal of the rats did and would help the sheep as well.",
    ),
    (
        "text",
        "Nothing of this lasts if rats come back. Every boat that lands goods can bring them. Since 2019 the Petrel "
        "carries two traps in her hold, grain and flour travel in closed boxes, and 36 wax blocks along the quay are "
        "looked at once a month for tooth marks. Until now there were none.",
    ),
    (
        "text",
        "The response rate was measured in one year only. If it differs between warm and cold summers, our counts err "
        "by as much. We plan to measure it again in 2026 with 80 nests.",
    ),
    ("break", ""),
    ("section", "6. Recommendations"),
    (
        "text",
        "First, screen the lower panes of the lantern from 20 August to 10 October. Second, keep the closure of the "
        "western cliff path until 31 July, and move it to 31 August in years with a late season. Third, keep the walls "
        "in repair, beginning with the two kilometres around Skell, where the birds are. Fourth, go on checking the "
        "wax blocks on the quay.",
    ),
    ("section", "Acknowledgements"),
    (
        "text",
        "We thank the keepers Ines Calloway and Tom Arden for 112 mornings of searching wet grass, Ruth Halden for "
        "bread at two in the morning, and Lin Zhou, who carried the loudspeaker in July 2024. The work was paid for by "
        "the Vessa Trust and the Korrin Institute with 9,400 euros.",
    ),
    ("break", ""),
    ("section", "References"),
    ("reference", "Adeyemi, M. (2021). Resampling for small colonies. <i>Aldmouth Statistical Notes</i> 7, 12–19."),
    ("reference", "Quill, E. (1903). <i>Birds of Vessa, listed by a schoolmaster.</i> Korrin."),
    (
        "reference",
        "Sørby, E. (2018). A chick in the school garden wall. <i>Korrin Journal of Island Ecology</i> 5, 88–89.",
    ),
    ("reference", "Vessa Trust (2019). <i>Report on the removal of rats 2016–2019.</i> Northhaven, 64 pages."),
]
