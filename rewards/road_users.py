"""Words for who else is on the road: the nouns that phrase tables and the commitment screen share."""

from __future__ import annotations

VEHICLES = (
    "car|vehicle|truck|lorry|van|bus|coach|tram|train|taxi|cab|suv|hatchback|sedan|saloon|motorcycle"
    "|motorbike|moped|scooter|bike|bicycle|cyclist|biker|rider|tractor|trailer|camper|convoy|traffic"
    "|ambulance|engine|leader|queue"
)
PEOPLE = (
    "pedestrian|person|man|woman|lady|child|kid|boy|girl|jogger|runner|walker|driver|animal|deer|dog|ball"
    "|he|she|it|someone|somebody|everyone|nobody|other|another|flow"
)
MANY = (
    "cars|vehicles|trucks|lorries|vans|buses|coaches|trams|taxis|motorcycles|scooters|bikes|bicycles|cyclists"
    "|riders|pedestrians|people|men|women|children|kids|joggers|walkers|drivers|they|others|animals|two|both"
)
THINGS = "lane|lanes|road|route|street|path|ramp|light|signal|exit|junction"
# For "wait for the …": anybody one can wait for.
SOMEBODY = rf"(?:{VEHICLES}|{PEOPLE}|{MANY})"
# The vehicle in front, with what is said of it.
LEAD = (
    r"(?:(?:slow(?:er|ing)?|lead(?:ing)?|preceding|stopped|braking|red|blue|white|black|slow-moving|delivery"
    r"|street|big|small|old) )*(?:lead(?:er)?|vehicle|car|truck|traffic|van|bus|suv|cyclist|bicycle|lorry"
    r"|tractor|tram|motorcycle|taxi|coach|camper|hatchback|sedan|convoy|queue|moped|scooter|trailer|sweeper"
    r"|harvester|combine)(?: (?:vehicle|car|truck))?"
)
