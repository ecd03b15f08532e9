#!/usr/bin/env bash
# Makes tests/data/media: four seconds of a test picture with a tone, as Media Encoder Standard would deliver them.
# It was run once, with ffmpeg 5.1 (libx264, aac); the files are kept so that tests need no encoder. To make them anew:
#   tests/data/make-media.sh
# README: three bit rates as progressive MP4 (H.264 of 2-second closed GOPs at 25 frames/s, AAC-LC stereo in each), the
# server manifest movie.ism (SMIL 2.0), the client manifest movie.ismc (Smooth Streaming 2.2, times in 100 ns) with the
# codec data and durations of the files, and movie_manifest.xml, the encoder's description of its output.
# The sound of the streams is that of the first file. Public domain.
set -euo pipefail
cd "$(dirname "$0")/media"

seconds=4
layers="320x180:100 480x270:180 640x360:320"
audio_rate=48000

file_of() { echo "movie_${1%:*}_${1#*:}.mp4"; }

for layer in $layers; do
    size=${layer%:*} rate=${layer#*:}
    ffmpeg -v error -y -f lavfi -i "testsrc2=size=$size:rate=25:duration=$seconds" \
        -f lavfi -i "sine=frequency=440:sample_rate=$audio_rate:duration=$seconds" \
        -map 0:v -map 1:a -c:v libx264 -preset slow -profile:v main -pix_fmt yuv420p -threads 1 \
        -b:v "${rate}k" -maxrate "${rate}k" -bufsize "$((rate * 2))k" \
        -x264-params keyint=50:min-keyint=50:scenecut=0:open-gop=0 \
        -c:a aac -ac 2 -b:a 32k -t $seconds -fflags +bitexact -flags:v +bitexact -flags:a +bitexact \
        -map_metadata -1 -movflags +faststart "$(file_of "$layer")"
done

# probe FILE STREAM ENTRY: one value of one stream
probe() { ffprobe -v error -select_streams "$2:0" -show_entries "stream=$3" -of default=nw=1:nk=1 "$1"; }
# The codec's set-up data as hex digits.
extradata() {
    ffprobe -v error -select_streams "$2:0" -show_entries stream=extradata -show_data -of default=nw=1 "$1" |
        awk '/^[0-9a-f]+: /{ sub(/^[^:]*: /, ""); sub(/  .*/, ""); gsub(/ /, ""); printf "%s", toupper($0) }'
}
# avcC (ISO 14496-15) to start codes: one SPS from byte 6, one PPS behind it.
annex_b() {
    local hex=$1 sps pps
    sps=$((16#${hex:12:4} * 2))
    pps=$((16#${hex:$((16 + sps + 2)):4} * 2))
    echo "00000001${hex:16:$sps}00000001${hex:$((16 + sps + 6)):$pps}"
}
# Length of a stream in 100 ns: the packets' times, because the container's duration holds the encoder's delay.
ticks() {
    ffprobe -v error -select_streams "$2:0" -show_entries stream=time_base,duration_ts -of default=nw=1:nk=1 "$1" |
        awk -F/ 'NF == 2 { scale = $2 } NF == 1 { printf "%.0f\n", $1 * 10000000 / scale }'
}
# Durations of fragments of about two seconds, each of whole frames: chunks TOTAL FRAME
chunks() {
    awk -v total="$1" -v frame="$2" 'BEGIN {
        for (start = 0; start < total; start = end) {
            frames = int((start + 20000000) / frame + 0.5); end = sprintf("%.0f", frames * frame) + 0
            if (end > total || total - end < frame) end = total
            printf "    <c n=\"%d\" d=\"%d\" />\n", n++, end - start
        }
    }'
}

first=$(file_of "${layers%% *}")
video_ticks=$(ticks "$first" v)
audio_ticks=$(ticks "$first" a)
longest=$((video_ticks > audio_ticks ? video_ticks : audio_ticks))
video_chunks=$(chunks "$video_ticks" 400000)
audio_chunks=$(chunks "$audio_ticks" "$(awk -v rate=$audio_rate 'BEGIN { printf "%.10f", 1024 * 10000000 / rate }')")
count() { grep -c '<c ' <<<"$1"; }

{
    cat <<XML
<?xml version="1.0" encoding="utf-8" standalone="yes"?>
<smil xmlns="http://www.w3.org/2001/SMIL20/Language">
  <head>
    <meta name="clientManifestRelativePath" content="movie.ismc" />
    <meta name="formats" content="mp4" />
  </head>
  <body>
    <switch>
      <audio src="$first" systemBitrate="$(probe "$first" a bit_rate)" systemLanguage="und">
        <param name="trackID" value="2" valuetype="data" />
        <param name="trackName" value="audio" valuetype="data" />
      </audio>
XML
    for layer in $layers; do
        cat <<XML
      <video src="$(file_of "$layer")" systemBitrate="$(probe "$(file_of "$layer")" v bit_rate)">
        <param name="trackID" value="1" valuetype="data" />
        <param name="trackName" value="video" valuetype="data" />
      </video>
XML
    done
    printf '    </switch>\n  </body>\n</smil>\n'
} >movie.ism

{
    cat <<XML
<?xml version="1.0" encoding="utf-8"?>
<SmoothStreamingMedia MajorVersion="2" MinorVersion="2" Duration="$longest" TimeScale="10000000">
  <StreamIndex Type="video" Name="video" Chunks="$(count "$video_chunks")" QualityLevels="3" MaxWidth="640" MaxHeight="360" DisplayWidth="640" DisplayHeight="360" Url="QualityLevels({bitrate})/Fragments(video={start time})">
XML
    index=0
    for layer in $layers; do
        file=$(file_of "$layer")
        echo "    <QualityLevel Index=\"$index\" Bitrate=\"$(probe "$file" v bit_rate)\" FourCC=\"H264\" MaxWidth=\"$(probe "$file" v width)\" MaxHeight=\"$(probe "$file" v height)\" CodecPrivateData=\"$(annex_b "$(extradata "$file" v)")\" />"
        index=$((index + 1))
    done
    cat <<XML
$video_chunks
  </StreamIndex>
  <StreamIndex Type="audio" Name="audio" Language="und" Chunks="$(count "$audio_chunks")" QualityLevels="1" Url="QualityLevels({bitrate})/Fragments(audio={start time})">
    <QualityLevel Index="0" Bitrate="$(probe "$first" a bit_rate)" FourCC="AACL" SamplingRate="$audio_rate" Channels="2" BitsPerSample="16" PacketSize="4" AudioTag="255" CodecPrivateData="$(extradata "$first" a)" />
$audio_chunks
  </StreamIndex>
</SmoothStreamingMedia>
XML
} >movie.ismc

{
    cat <<XML
<?xml version="1.0" encoding="utf-8"?>
<AssetFiles xmlns="http://schemas.microsoft.com/windowsazure/mediaservices/2013/05/mediaencoder/metadata">
XML
    for layer in $layers; do
        file=$(file_of "$layer")
        cat <<XML
  <AssetFile Name="$file" Size="$(stat -c %s "$file")" Duration="PT${seconds}S">
    <Sources>
      <Source Name="movie.mp4" />
    </Sources>
    <VideoTracks>
      <VideoTrack Id="1" FourCC="avc1" Profile="Main" Width="$(probe "$file" v width)" Height="$(probe "$file" v height)" DisplayAspectRatioNumerator="16" DisplayAspectRatioDenominator="9" Framerate="25" TargetFramerate="25" Bitrate="$(($(probe "$file" v bit_rate) / 1000))" TargetBitrate="${layer#*:}" />
    </VideoTracks>
    <AudioTracks>
      <AudioTrack Id="2" Codec="aac" Channels="2" SamplingRate="$audio_rate" BitsPerSample="16" Bitrate="$(($(probe "$file" a bit_rate) / 1000))" TargetBitrate="32" />
    </AudioTracks>
  </AssetFile>
XML
    done
    echo '</AssetFiles>'
} >movie_manifest.xml
